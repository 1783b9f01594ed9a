// The conformance tests import globSync from fs, which Node has from version 22 on, and do not use it to test a server.

import { register } from 'node:module';

const asModule = (text) => `data:text/javascript,${encodeURIComponent(text)}`;
const fs = asModule("export * from 'node:fs'; export const globSync = undefined;");
const hooks = asModule(`export const resolve = (name, context, next) =>
    name === 'fs' && context.parentURL.includes('/conformance/dist/') ? { url: '${fs.replaceAll("'", '%27')}', shortCircuit: true } : next(name, context);`);
register(hooks);
