from __future__ import annotations

from jupyter_pyserve.notebook.markup import Markup, code_block, columns, command_button, element, link, table, text

HOSTILE = "<script>alert('x')</script>&\""


def test_every_value_is_escaped_once() -> None:
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;"
    assert text(HOSTILE) == escaped
    assert element("b", HOSTILE, title=HOSTILE) == f'<b title="{escaped}">{escaped}</b>'
    assert HOSTILE not in table([HOSTILE], [[HOSTILE]])
    assert code_block(HOSTILE).endswith(f">{escaped}</pre>")


def test_markup_is_kept_and_nothing_is_nothing() -> None:
    assert element("p", Markup("<b>x</b>"), None, 1) == "<p><b>x</b>1</p>"
    assert element("p", style="color:red") == '<p style="color:red"></p>'


def test_plain_columns_stay_on_their_lines() -> None:
    assert columns(("A", "B"), [("x\ny", None), ("longer", 2)]) == "A       B\nx\\ny\nlonger  2"
    assert "\x1b" not in columns(("A",), [("\x1b[31mred",)])


def test_links_are_to_pages_only() -> None:
    assert link("a<b", 'http://x/"y') == '<a href="http://x/&quot;y" target="_blank" rel="noopener">a&lt;b</a>'
    assert link("a", "javascript:alert(1)") == "a"
    assert (
        command_button("<x>", 'c"') == '<button type="button" data-commandlinker-command="c&quot;">&lt;x&gt;</button>'
    )
