// Takes pictures of rendered pages: node screenshots.js FROM TO NAME=MODEL[:dark]…, as scripts/screenshots does.
'use strict'

const path = require('node:path')
const { launch } = require('./visitor')

const SIZE = { width: 1120, height: 840 }

async function main([from, to, ...pictures]) {
  const browser = await launch()
  try {
    for (const picture of pictures) {
      const [name, model, colorScheme = 'light'] = picture.split(/[=:]/)
      const page = await browser.newPage({ viewport: SIZE, colorScheme, baseURL: 'http://localhost' })
      await page.route('**', (route) => {
        const isStyle = new URL(route.request().url()).pathname.endsWith('.css')
        return route.fulfill({ path: path.join(from, isStyle ? 'style.css' : `${model}.html`) })
      })
      await page.goto(`/${model}`)
      await page.screenshot({ path: path.join(to, `${name}.png`) })
      await page.close()
    }
  } finally {
    await browser.close()
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
