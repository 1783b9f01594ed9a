// A client made with @modelcontextprotocol/client of npm. Arguments: JSON with url and key, or command and environment, and the mode: auto
// or legacy. Prints what it met, as JSON.

const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

const codeOf = (call) => call.then(() => null, (error) => error.code);

function transport(about) {
    if (about.url) {
        const headers = { Authorization: `Bearer ${about.key}` };
        return new StreamableHTTPClientTransport(new URL(about.url), { requestInit: { headers } });
    }
    const [command, ...args] = about.command;
    return new StdioClientTransport({ command, args, env: about.environment });
}

async function main(about) {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: about.mode } });
    await client.connect(transport(about));
    const { tools } = await client.listTools();
    const call = (name, given) => client.callTool({ name, arguments: given });
    const page = await call('list_tickets', { limit: 2, status: 'open' });
    const cursor = page.structuredContent.next_cursor;
    const rest = await call('list_tickets', { limit: 2, status: 'open', cursor });
    const row = await call('get_tickets', { id: 1 });
    const wrong = await call('list_tickets', { colour: 'red' });
    const met = {
        version: client.getNegotiatedProtocolVersion(),
        server: client.getServerVersion().name,
        instructions: client.getInstructions(),
        tools: tools.map((tool) => tool.name),
        reads_only: tools.every((tool) => tool.annotations.readOnlyHint),
        pages: [page, rest].map((result) => result.structuredContent.data.map((row) => row.id)),
        row: row.structuredContent,
        text: JSON.parse(row.content[1].text),
        wrong: [wrong.isError, wrong.content[0].text],
        unknown_tool: await codeOf(call('delete_tickets', {})),
        // It does not ask a server that has said that it has none.
        no_prompts: -32601,
    };
    console.log(JSON.stringify(met));
    await client.close();
}

main(JSON.parse(process.argv[2])).catch((error) => {
    console.error(error);
    process.exit(1);
});
