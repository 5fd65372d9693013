"""Exchanges written down, whole, one object of JSON a line: fixtures for those who parse them."""
import base64
import json


def text_or_base64(data):
    """{"text": ...}, or {"base64": ...} of what is no UTF-8."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


class Recorder:
    """Writes to a file, or nowhere. The key is left out."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None

    def close(self):
        if self.file is not None:
            self.file.close()

    def watch(self, request, reply):
        """The reply, which is written down when it has been sent."""
        if self.file is None:
            return reply
        if isinstance(reply.body, bytes):
            self.note(request, reply, reply.body)
        else:
            reply.body = self.copied(request, reply, reply.body)
        return reply

    async def copied(self, request, reply, pieces):
        parts = []
        try:
            async for piece in pieces:
                parts.append(piece)
                yield piece
        finally:
            await pieces.aclose()
            self.note(request, reply, b"".join(parts))

    def note(self, request, reply, body):
        headers = {name: value for name, value in request.headers.items() if name not in ("authorization", "host")}
        self.file.write(json.dumps({
            "method": request.method, "target": request.target, "headers": headers,
            "body": text_or_base64(request.body), "status": reply.status, "type": reply.kind,
            "reply_headers": reply.headers, "reply": text_or_base64(body)}, ensure_ascii=False) + "\n")
        self.file.flush()
