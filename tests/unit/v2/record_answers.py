"""Sends the recorded requests to a running Triton again and writes down what it answers.

Serve one Python model for each of `echo.SIGNATURES`, which answers with its inputs, then
`python -m tests.unit.v2.record_answers http://localhost:8000`.
"""

from __future__ import annotations

import http.client
import json
import sys
from urllib.parse import urlsplit

from tests.unit.v2.echo import RECORDED, Answer, recorded


def ask(connection: http.client.HTTPConnection, model: str, body: bytes, header: str | None) -> Answer:
    headers = {} if header is None else {"Inference-Header-Content-Length": header}
    connection.request("POST", f"/v2/models/{model}/infer", body=body, headers=headers)
    response = connection.getresponse()
    length = response.getheader("Inference-Header-Content-Length")
    return Answer(status=response.status, body=response.read(), header=length)


def main(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    rows = []
    for case in recorded():
        answer = ask(connection, case.model, case.body, case.header)
        row = {
            "model": case.model,
            "body": case.body.decode("latin-1"),
            "header": case.header,
            "status": answer.status,
            "answer": answer.body.decode("latin-1"),
            "answer_header": answer.header,
        }
        rows.append({key: value for key, value in row.items() if value is not None})
    RECORDED.write_text(json.dumps(rows, indent=0) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1])
