"""A client made with mcp 2.x of PyPI. Arguments: JSON with url and key, or command and environment, and the mode: auto or legacy. Prints
what it met, as JSON."""

import asyncio
import contextlib
import json
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def code_of(call):
    try:
        await call
    except MCPError as error:
        return error.code
    return None


@contextlib.asynccontextmanager
async def connected(about):
    if "url" in about:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {about['key']}"}, timeout=60) as http:
            async with Client(streamable_http_client(about["url"], http_client=http), mode=about["mode"]) as client:
                yield client
    else:
        command, *arguments = about["command"]
        parameters = StdioServerParameters(command=command, args=arguments, env=about["environment"])
        async with Client(parameters, mode=about["mode"]) as client:
            yield client


async def main(about):
    async with connected(about) as client:
        tools = (await client.list_tools()).tools
        page = await client.call_tool("list_tickets", {"limit": 2, "status": "open"})
        cursor = page.structured_content["next_cursor"]
        rest = await client.call_tool("list_tickets", {"limit": 2, "status": "open", "cursor": cursor})
        row = await client.call_tool("get_tickets", {"id": 1})
        wrong = await client.call_tool("list_tickets", {"colour": "red"})
        print(json.dumps({
            "version": client.protocol_version,
            "server": client.server_info.name,
            "instructions": client.instructions,
            "tools": [tool.name for tool in tools],
            "reads_only": all(tool.annotations.read_only_hint for tool in tools),
            "pages": [[row["id"] for row in result.structured_content["data"]] for result in (page, rest)],
            "row": row.structured_content,
            "text": json.loads(row.content[1].text),
            "wrong": [wrong.is_error, wrong.content[0].text],
            "unknown_tool": await code_of(client.call_tool("delete_tickets", {})),
            "no_prompts": await code_of(client.list_prompts()),
        }))


asyncio.run(main(json.loads(sys.argv[1])))
