"""The official Python SDK, line 1: speaks 2025-11-25 and earlier. Usage: py_v1.py URL"""

from datetime import timedelta

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

import common

finding = common.blank("python-v1", "mcp")


async def session(url):
    async with streamablehttp_client(url, headers=common.headers()) as (read, write, _):
        async with ClientSession(read, write, read_timeout_seconds=timedelta(seconds=30)) as client:
            finding["negotiated"] = str((await client.initialize()).protocolVersion)

            async def list_names():
                return [tool.name for tool in (await client.list_tools()).tools]

            async def call(name, arguments, on_progress):
                async def report(progress, total, message):
                    on_progress()

                result = await client.call_tool(name, arguments, progress_callback=report if on_progress else None)
                return bool(result.isError), " ".join(getattr(block, "text", "") for block in result.content)

            await common.exercise(finding, list_names, call)


common.run(finding, session)
