"""The official Python SDK, line 2: speaks both eras and probes for the newer one. Usage: py_v2.py URL"""

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

import common

finding = common.blank("python-v2", "mcp")


async def session(url):
    async with create_mcp_http_client(headers=common.headers()) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=common.era(), read_timeout_seconds=30) as client:
            finding["negotiated"] = str(client.protocol_version)

            async def list_names():
                return [tool.name for tool in (await client.list_tools()).tools]

            async def call(name, arguments, on_progress):
                async def report(progress, total, message):
                    on_progress()

                result = await client.call_tool(name, arguments, progress_callback=report if on_progress else None)
                return bool(result.is_error), " ".join(getattr(block, "text", "") for block in result.content)

            await common.exercise(finding, list_names, call)


common.run(finding, session)
