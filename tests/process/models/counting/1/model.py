"""Counts its starts in hundreds and its requests in a hundred steps each; says at its end how far it got."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        name = args["model_name"]
        self.counters = pb_utils.MetricFamily(f"{name}_total", "counted", pb_utils.MetricFamily.COUNTER)
        self.counter = self.counters.Metric({"who": "all"})
        self.counter.increment(100)
        self.histograms = pb_utils.MetricFamily(f"{name}_sizes", "sizes", pb_utils.MetricFamily.HISTOGRAM)
        self.histogram = self.histograms.Metric({"who": args["model_instance_name"]}, buckets=[1.0, 2.5])

    def execute(self, requests):
        responses = []
        for request in requests:
            for _ in range(100):
                self.counter.increment(0.01)
            self.histogram.observe(2)
            (path,) = pb_utils.get_input_tensor_by_name(request, "GATE").as_numpy()
            if path:
                with open(path, "rb") as gate:
                    gate.read()
            value = np.array([self.counter.value()], np.float32)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("VALUE", value)]))
        return responses

    def finalize(self):
        print("counted", round(self.counter.value(), 6))
