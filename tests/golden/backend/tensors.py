"""`Tensor` and DLPack (sections 1.5, 1.6), and what the memory of inputs allows (6.3)."""

from __future__ import annotations

from tests.golden.backend.scripted import probe, script
from tests.golden.case import AnyCase, Case

_A = "pb_utils.Tensor('a', np.array([1, 2], np.float32))"

_CONSTRUCTIONS = {
    "plain": "np.array([1, 2], np.float32)",
    "list": "[1, 2]",
    "scalar": "1",
    "numpy_scalar": "np.int32(1)",
    "none": "None",
    "text": "'abc'",
    "bytes": "b'abc'",
    "matrix_class": "np.matrix([[1, 2]])",
    "recarray": "np.rec.array([1, 2])",
    "masked": "np.ma.array([1, 2], mask=[0, 1])",
    "memmap_subclass": "np.array([1.5]).view(type('Mine', (np.ndarray,), {}))",
    "chararray": "np.char.array([b'a', b'b'])",
    "zero_dim": "np.array(7, np.int8)",
    "zero_size": "np.zeros((2, 0, 3), np.float16)",
    "rank_8": "np.zeros((1,) * 8, np.uint8)",
    "fortran": "np.asfortranarray(np.arange(6).reshape(2, 3))",
    "strided": "np.arange(6)[::2]",
    "reversed": "np.arange(3)[::-1]",
    "broadcast": "np.broadcast_to(np.float32(1), (2, 2))",
    "readonly": "np.frombuffer(b'\\1\\2', np.uint8)",
    "unaligned": "np.frombuffer(b'x' + bytes(8), np.uint8)[1:].view(np.int32)",
    "objects": "np.array(['a', b'b', 1, None, [1], {}], object)",
    "object_matrix": "np.array([[b'a', 'b'], [1, 2.5]], object)",
    "fixed": "np.array([b'a', b'bcd', b''])",
    "fixed_zero_width": "np.array([b''])",
    "fixed_empty": "np.zeros((0,), 'S4')",
    "empty_objects": "np.zeros((0, 2), object)",
    "unicode": "np.array(['text'])",
    "complex": "np.array([1j])",
    "longdouble": "np.zeros(1, np.longdouble)",
    "datetime": "np.array(['2020-01-01'], 'M8[D]')",
    "timedelta": "np.array([1], 'm8[s]')",
    "void": "np.zeros(1, 'V4')",
    "structured": "np.zeros(1, [('a', 'i4')])",
    "big_endian": "np.array([1], '>i4')",
    "big_endian_byte": "np.array([1], '>i1')",
    "native_explicit": "np.array([1], '<i4')",
    "intc": "np.zeros(1, np.intc)",
    "longlong": "np.zeros(1, np.longlong)",
    "ulonglong": "np.zeros(1, np.ulonglong)",
    "intp": "np.zeros(1, np.intp)",
}
_DTYPES = "?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "S3", "O"

_NAMES = {
    "empty": "''",
    "empty_bytes": "b''",
    "bytes": "b'name'",
    "unicode": "'näme ✓'",
    "bad_bytes": "b'\\xff'",
    "none": "None",
    "number": "1",
    "bytearray": "bytearray(b'name')",
    "str_subclass": "type('Mine', (str,), {})('mine')",
    "numpy_str": "np.str_('a')",
    "nul": "'a\\0b'",
}
_ARITY = {
    "nothing": "pb_utils.Tensor()",
    "name_only": "pb_utils.Tensor('a')",
    "three": "pb_utils.Tensor('a', np.zeros(1), 1)",
    "keywords": "pb_utils.Tensor(name='a', array=np.zeros(1))",
    "keyword_one": "pb_utils.Tensor('a', numpy_array=np.zeros(1))",
    "swapped": "pb_utils.Tensor(np.zeros(1), 'a')",
    "name_with_argument": f"{_A}.name(1)",
    "shape_with_argument": f"{_A}.shape(1)",
    "as_numpy_with_argument": f"{_A}.as_numpy(copy=True)",
    "is_cpu_with_argument": f"{_A}.is_cpu(1)",
    "unbound": "pb_utils.Tensor.name()",
    "unbound_wrong_self": "pb_utils.Tensor.name(5)",
    "unbound_right_self": f"pb_utils.Tensor.name({_A})",
    "triton_dtype": f"{_A}.triton_dtype()",
    "method_replaced": f"setattr({_A}, 'name', 1)",
    "method_bound_repr": f"type({_A}.name).__name__",
}

TENSORS: tuple[AnyCase, ...] = (
    *(probe(f"tensor_{name}", f"pb_utils.Tensor('a', {text})") for name, text in _CONSTRUCTIONS.items()),
    *(
        probe(
            f"tensor_shape_{name}",
            f"t = pb_utils.Tensor('a', {_CONSTRUCTIONS[name]})\n"
            "[t.shape(), type(t.shape()), t.as_numpy().shape, t.as_numpy().flags.c_contiguous, t.is_cpu()]",
        )
        for name in ("plain", "matrix_class", "zero_dim", "zero_size", "fortran", "broadcast", "object_matrix", "fixed")
    ),
    *(
        probe(
            f"tensor_kept_{name}", f"array = {_CONSTRUCTIONS[name]}\npb_utils.Tensor('a', array).as_numpy() is array"
        )
        for name in ("plain", "matrix_class", "zero_dim", "strided", "fortran", "readonly", "objects", "fixed", "rank_8")
    ),
    *(
        probe(f"tensor_dtype_{dtype.strip('?') or 'bool'}", f"pb_utils.Tensor('a', np.zeros(2, {dtype!r}))")
        for dtype in _DTYPES
    ),
    *(probe(f"tensor_name_{name}", f"pb_utils.Tensor({text}, np.zeros(1)).name()") for name, text in _NAMES.items()),
    *(probe(f"tensor_call_{name}", text) for name, text in _ARITY.items()),
    probe("tensor_name_type", f"type({_A}.name())"),
    probe("tensor_as_numpy_cached", "t = pb_utils.Tensor('a', np.arange(6)[::2])\nt.as_numpy() is t.as_numpy()"),
    probe("tensor_shape_fresh", f"t = {_A}\nt.shape().append(1)\nt.shape()"),
    probe("tensor_changed_later", "x = np.zeros(2)\nt = pb_utils.Tensor('a', x)\nx[0] = 5\nt.as_numpy()"),
    probe("tensor_changed_later_strided", "x = np.zeros(4)\nt = pb_utils.Tensor('a', x[::2])\nx[0] = 5\nt.as_numpy()"),
    probe("tensor_objects_changed_later", "x = np.array([b'a'], object)\nt = pb_utils.Tensor('a', x)\nx[0] = b'zz'\nt.as_numpy()"),
    probe("tensor_str_fails", "class Bad:\n    def __str__(self): raise ValueError('no text')\npb_utils.Tensor('a', np.array([Bad()], object))"),
    probe("tensor_surrogate", "pb_utils.Tensor('a', np.array(['\\ud800'], object))"),
    probe("tensor_keeps_array", "x = np.zeros(2)\nn = sys.getrefcount(x)\nt = pb_utils.Tensor('a', x)\nmore = sys.getrefcount(x) - n\ndel t\n[more > 0, sys.getrefcount(x) - n]"),
    probe("input_dtype", "t = request.inputs()[0]\n[t.as_numpy().dtype, type(t.as_numpy()[0]), t.shape()]"),
    probe("input_flags", "a = request.inputs()[0].as_numpy()\n[a.flags.writeable, a.flags.c_contiguous]"),
    probe("input_same", "request.inputs()[0] is request.inputs()[0]"),
    probe("input_cached", "t = request.inputs()[0]\nt.as_numpy() is t.as_numpy()"),
    probe("input_list_fresh", "request.inputs() is request.inputs()"),
    probe("input_is_cpu", "request.inputs()[0].is_cpu()"),
    probe("input_bytes_to_dlpack", "request.inputs()[0].to_dlpack()"),
    probe("input_dlpack_device", "request.inputs()[0].__dlpack_device__()"),
)  # fmt: skip

_CAPSULE = "pb_utils.Tensor('a', np.arange(6, dtype=np.float32).reshape(2, 3)).to_dlpack()"


def _producer(device: str = "(1, 0)", capsule: str = _CAPSULE, seen: str = "stream") -> str:
    return f"""
class Producer:
    def __dlpack__(self, **kwargs):
        Producer.seen = kwargs
        return {capsule}
    def __dlpack_device__(self):
        return {device}
"""


_FROM = {
    "tensor": f"pb_utils.Tensor.from_dlpack('b', {_A})",
    "capsule": f"pb_utils.Tensor.from_dlpack('b', {_CAPSULE})",
    "capsule_shape": f"pb_utils.Tensor.from_dlpack('b', {_CAPSULE}).shape()",
    "empty_name": f"pb_utils.Tensor.from_dlpack('', {_A})",
    "empty_name_before_object": "pb_utils.Tensor.from_dlpack('', 5)",
    "none_name": f"pb_utils.Tensor.from_dlpack(None, {_A})",
    "bytes_name": f"pb_utils.Tensor.from_dlpack(b'b', {_A}).name()",
    "one_argument": f"pb_utils.Tensor.from_dlpack({_A})",
    "keywords": f"pb_utils.Tensor.from_dlpack(name='b', tensor={_A})",
    "three": f"pb_utils.Tensor.from_dlpack('b', {_A}, 1)",
    "number": "pb_utils.Tensor.from_dlpack('b', 5)",
    "none": "pb_utils.Tensor.from_dlpack('b', None)",
    "list": "pb_utils.Tensor.from_dlpack('b', [1, 2])",
    "on_instance": f"{_A}.from_dlpack('c', {_A}).name()",
    "is_cpu": f"pb_utils.Tensor.from_dlpack('b', {_A}).is_cpu()",
    "device": f"pb_utils.Tensor.from_dlpack('b', {_A}).__dlpack_device__()",
    "other_capsule": "import datetime\npb_utils.Tensor.from_dlpack('b', object())",
    "only_dlpack": "pb_utils.Tensor.from_dlpack('b', type('P', (), {'__dlpack__': None})())",
    "private_copy": "x = np.zeros(2)\nt = pb_utils.Tensor.from_dlpack('b', pb_utils.Tensor('a', x))\na = t.as_numpy()\nx[0] = 7\n[a, a.flags.writeable]",
    "cached": f"t = pb_utils.Tensor.from_dlpack('b', {_A})\nt.as_numpy() is t.as_numpy()",
    "chain": f"pb_utils.Tensor.from_dlpack('c', pb_utils.Tensor.from_dlpack('b', {_A}))",
    "bytes_tensor": "pb_utils.Tensor.from_dlpack('b', pb_utils.Tensor('a', np.array([b'x'], object)))",
    "zero_size": "pb_utils.Tensor.from_dlpack('b', pb_utils.Tensor('a', np.zeros((0, 2), np.int16)))",
    "zero_dim": "pb_utils.Tensor.from_dlpack('b', pb_utils.Tensor('a', np.array(5)))",
    "stream_argument": _producer() + "t = pb_utils.Tensor.from_dlpack('b', Producer())\n[Producer.seen, t]",
    "pinned": _producer("(3, 0)") + "t = pb_utils.Tensor.from_dlpack('b', Producer())\n[Producer.seen, t, t.is_cpu()]",
    "device_7": _producer("(7, 0)") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "device_cuda": _producer("(2, 0)") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "device_not_a_tuple": _producer("5") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "device_short": _producer("(1,)") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "device_raises": _producer("1 / 0") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "producer_raises": _producer(capsule="1 / 0") + "pb_utils.Tensor.from_dlpack('b', Producer())",
    "producer_none": _producer(capsule="None") + "pb_utils.Tensor.from_dlpack('b', Producer())",
}
_EXPORTS = {
    "capsule": f"type({_CAPSULE}).__name__",
    "capsule_repr": f"{_CAPSULE}",
    "dunder": f"type({_A}.__dlpack__()).__name__",
    "dunder_stream": f"type({_A}.__dlpack__(stream=None)).__name__",
    "dunder_stream_number": f"type({_A}.__dlpack__(5)).__name__",
    "dunder_version": f"{_A}.__dlpack__(max_version=(1, 0))",
    "to_dlpack_argument": f"{_A}.to_dlpack(1)",
    "device": f"{_A}.__dlpack_device__()",
    "bytes": "pb_utils.Tensor('a', np.array([b'x'], object)).to_dlpack()",
    "bytes_dunder": "pb_utils.Tensor('a', np.array([b'x'], object)).__dlpack__()",
    "bytes_device": "pb_utils.Tensor('a', np.array([b'x'], object)).__dlpack_device__()",
    "numpy": "x = np.arange(3)\na = np.from_dlpack(pb_utils.Tensor('a', x))\n[a, a.ctypes.data == x.ctypes.data]",
    "numpy_matrix": "np.from_dlpack(pb_utils.Tensor('a', np.arange(6).reshape(2, 3)))",
    "refcount": f"t = {_A}\nn = sys.getrefcount(t)\nc = t.to_dlpack()\nup = sys.getrefcount(t) - n\ndel c\ngc.collect()\n[up, sys.getrefcount(t) - n]",
    "refcount_two": f"t = {_A}\nn = sys.getrefcount(t)\nc = [t.to_dlpack(), t.to_dlpack()]\nsys.getrefcount(t) - n",
}
_EXPORT_DTYPES = "?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"

_INSPECT = """
class Tensor(ctypes.Structure):
    _fields_ = [('data', ctypes.c_void_p), ('device', ctypes.c_int32 * 2), ('ndim', ctypes.c_int32),
                ('code', ctypes.c_uint8), ('bits', ctypes.c_uint8), ('lanes', ctypes.c_uint16),
                ('shape', ctypes.POINTER(ctypes.c_int64)), ('strides', ctypes.c_void_p), ('offset', ctypes.c_uint64)]
ctypes.pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
ctypes.pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
array = np.zeros((2, 3), DTYPE)
capsule = pb_utils.Tensor('a', array).to_dlpack()
found = Tensor.from_address(ctypes.pythonapi.PyCapsule_GetPointer(capsule, b'dltensor'))
[found.data == array.ctypes.data, list(found.device), found.shape[:found.ndim], found.code, found.bits, found.lanes, found.strides, found.offset]
"""


def _laid_out(shape: str, strides: str, code: int = 2, bits: int = 32, lanes: int = 1, offset: int = 0) -> str:
    """A capsule by hand, with these strides, over eight floats; its producer never lets go of the memory."""
    return f"""
class Managed(ctypes.Structure):
    _fields_ = [('data', ctypes.c_void_p), ('device', ctypes.c_int32 * 2), ('ndim', ctypes.c_int32),
                ('code', ctypes.c_uint8), ('bits', ctypes.c_uint8), ('lanes', ctypes.c_uint16),
                ('shape', ctypes.c_void_p), ('strides', ctypes.c_void_p), ('offset', ctypes.c_uint64),
                ('manager', ctypes.c_void_p), ('deleter', ctypes.c_void_p)]
keep = sys.__dict__.setdefault('kept', [])
data = (ctypes.c_float * 16)(*range(16))
shape = (ctypes.c_int64 * 8)(*{shape})
strides = (ctypes.c_int64 * 8)(*{strides}) if {strides} else None
deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda address: None)
managed = Managed(ctypes.addressof(data), (1, 0), len({shape}), {code}, {bits}, {lanes}, ctypes.addressof(shape),
                  ctypes.addressof(strides) if strides else None, {offset}, None,
                  ctypes.cast(deleter, ctypes.c_void_p))
keep.extend([data, shape, strides, managed, deleter])
new = ctypes.pythonapi.PyCapsule_New
new.restype = ctypes.py_object
new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
capsule = new(ctypes.addressof(managed), b'dltensor', None)
keep.append(capsule)
pb_utils.Tensor.from_dlpack('b', capsule)
"""


_LAYOUTS = {
    "no_strides": _laid_out("(2, 3)", "()"),
    "compact": _laid_out("(2, 3)", "(3, 1)"),
    "inner_strided": _laid_out("(2, 2)", "(4, 2)"),
    "transposed": _laid_out("(2, 3)", "(1, 2)"),
    "middle_strided": _laid_out("(2, 2, 2)", "(8, 4, 1)"),
    "size_one_axes": _laid_out("(2, 1, 3)", "(3, 99, 1)"),
    "outer_strided": _laid_out("(2, 3)", "(6, 1)"),
    "one_axis_strided": _laid_out("(3,)", "(2,)"),
    "offset": _laid_out("(3,)", "()", offset=8),
    "zero_dim": _laid_out("()", "()"),
    "int8": _laid_out("(4,)", "()", code=0, bits=8),
    "uint16": _laid_out("(4,)", "()", code=1, bits=16),
    "bool": _laid_out("(4,)", "()", code=6, bits=8),
    "float16": _laid_out("(4,)", "()", code=2, bits=16),
    "complex64": _laid_out("(2,)", "()", code=5, bits=64),
    "int4": _laid_out("(2,)", "()", code=0, bits=4),
    "float8": _laid_out("(2,)", "()", code=2, bits=8),
    "opaque": _laid_out("(2,)", "()", code=3, bits=64),
    "bool_16": _laid_out("(2,)", "()", code=6, bits=16),
    "lanes": _laid_out("(2,)", "()", lanes=4),
    "bf16_as_numpy": _laid_out("(2,)", "()", code=4, bits=16).strip() + ".as_numpy()",
    "bf16_of_32_bits": _laid_out("(2,)", "()", code=4, bits=32),
    "bf16_shape": _laid_out("(2,)", "()", code=4, bits=16).strip() + ".shape()",
    "bf16_export": _laid_out("(2,)", "()", code=4, bits=16).strip() + ".__dlpack_device__()",
}

DLPACK: tuple[AnyCase, ...] = (
    *(probe(f"from_dlpack_{name}", text) for name, text in _FROM.items()),
    *(probe(f"to_dlpack_{name}", text) for name, text in _EXPORTS.items()),
    *(
        probe(f"to_dlpack_layout_{dtype.strip('?') or 'bool'}", _INSPECT.replace("DTYPE", repr(dtype)))
        for dtype in _EXPORT_DTYPES
    ),
    *(probe(f"from_dlpack_layout_{name}", text) for name, text in _LAYOUTS.items()),
    script(
        "dlpack_bf16_output",
        _laid_out("(2,)", "()", code=4, bits=16).replace("pb_utils.Tensor.from_dlpack('b', capsule)", "")
        + "return [pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack('OUT', capsule)])]",
        parameters={"binary_data_output": True},
    ),
)  # fmt: skip

#: Those that end Triton's stub: numpy as a producer, and a capsule that is used twice.
CRASHING: tuple[Case, ...] = (
    probe("from_dlpack_numpy", "pb_utils.Tensor.from_dlpack('b', np.arange(3))"),
    probe("from_dlpack_numpy_strided", "pb_utils.Tensor.from_dlpack('b', np.arange(6)[::2])"),
    probe(
        "from_dlpack_used_twice", f"c = {_CAPSULE}\n[outcome(pb_utils.Tensor.from_dlpack, 'b', c) for _ in range(2)]"
    ),
)
