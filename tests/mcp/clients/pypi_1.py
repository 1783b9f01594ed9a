"""A client made with mcp 1.x of PyPI. Arguments: JSON with url and key, or command and environment. Prints what it met, as JSON."""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError


async def code_of(call):
    try:
        await call
    except McpError as error:
        return error.error.code
    return None


def transport(about):
    if "url" in about:
        return streamablehttp_client(about["url"], headers={"Authorization": f"Bearer {about['key']}"})
    command, *arguments = about["command"]
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=about["environment"]))


async def main(about):
    async with transport(about) as streams, ClientSession(streams[0], streams[1]) as session:
        begun = await session.initialize()
        await session.send_ping()
        tools = (await session.list_tools()).tools
        page = await session.call_tool("list_tickets", {"limit": 2, "status": "open"})
        rest = await session.call_tool("list_tickets", {"limit": 2, "status": "open", "cursor": page.structuredContent["next_cursor"]})
        row = await session.call_tool("get_tickets", {"id": 1})
        wrong = await session.call_tool("list_tickets", {"colour": "red"})
        print(json.dumps({
            "version": begun.protocolVersion,
            "server": begun.serverInfo.name,
            "instructions": begun.instructions,
            "tools": [tool.name for tool in tools],
            "reads_only": all(tool.annotations.readOnlyHint for tool in tools),
            "pages": [[row["id"] for row in result.structuredContent["data"]] for result in (page, rest)],
            "row": row.structuredContent,
            "text": json.loads(row.content[1].text),
            "wrong": [wrong.isError, wrong.content[0].text],
            "unknown_tool": await code_of(session.call_tool("delete_tickets", {})),
            "no_prompts": await code_of(session.list_prompts()),
        }))


asyncio.run(main(json.loads(sys.argv[1])))
