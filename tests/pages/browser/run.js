// Runs one scenario: node run.js SCENARIO ABOUT, with ABOUT in JSON. Fails if it throws, or if a page had a fault.
'use strict'

const { Visitor, launch } = require('./visitor')

async function main([scenario, about]) {
  about = JSON.parse(about)
  const browser = await launch()
  try {
    const visitor = new Visitor(browser, about)
    await require(`./${scenario}`)(visitor, about)
    await visitor.end()
  } finally {
    await browser.close()
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
