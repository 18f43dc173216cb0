"""A FastAPI endpoint that takes uploads and sends them as one MMS, without holding up the event loop."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, UploadFile

from mmsprep import MmsprepError, pre_send_async, prepare, send_async
from mmsprep.errors import SendOutcomeUnknown

app = FastAPI()


@app.post("/mms")
async def send_mms(
    to: Annotated[str, Form()], text: Annotated[str, Form()] = "", files: list[UploadFile] | None = None
) -> dict[str, str]:
    """Hand the uploads to the hook as they are, send what comes back."""
    outgoing = {"to": to, "text": text, "attachments": files or []}
    try:
        ready = await pre_send_async(outgoing, country="AU")
        # Conforming already, so that preparing keeps every byte; a service with its own sender posts `ready` itself.
        attachments = [(file.name, file.read()) for file in ready["attachments"]]
        message = await asyncio.to_thread(prepare, attachments, text=ready["text"])
        receipt = await send_async(message, to=ready["to"])
    except SendOutcomeUnknown as error:
        raise HTTPException(502, {"code": error.code, "transaction_id": error.transaction_id}) from error
    except MmsprepError as error:
        raise HTTPException(422, {"code": error.code, "message": str(error)}) from error
    return {"message_id": receipt.message_id}
