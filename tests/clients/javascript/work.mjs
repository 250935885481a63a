// The ordinary work of a client: node work.mjs URL INDEX MAPPINGS; prints what each step found, in one JSON object.
import { Client } from '@opensearch-project/opensearch'

const [url, index, mappings] = process.argv.slice(2)
const client = new Client({ node: url })
const found = {}
const ids = (body) => body.hits.hits.map((hit) => hit._id).sort()
const failure = async (call) => {
  try {
    await call()
    return 'none'
  } catch (error) {
    return error.statusCode
  }
}

await client.indices.create({ index, body: { mappings: JSON.parse(mappings) } })
found.index = (await client.index({ index, id: '1', body: { text: 'alpha beta', n: 1 }, refresh: true })).body.result
const lines = [2, 3, 4, 5, 6].flatMap((n) => [{ index: { _id: `${n}` } }, { text: `alpha number ${n}`, n }])
found.bulk = (await client.bulk({ index, refresh: true, body: lines })).body.items.map((item) => item.index.status)
const query = { match: { text: 'alpha' } }
const searched = (await client.search({ index, body: { query } })).body
found.search = ids(searched)
found.sources = searched.hits.hits.map((hit) => JSON.stringify(hit._source)).sort()
found.total = searched.hits.total
const several = await client.msearch({ body: [{ index }, { query }, { index }, { query: { term: { n: 3 } } }] })
found.msearch = several.body.responses.map(ids)
let page = (await client.search({ index, scroll: '1m', size: 4, body: { query } })).body
found.scroll = []
while (page.hits.hits.length) {
  found.scroll.push(...ids(page))
  page = (await client.scroll({ body: { scroll_id: page._scroll_id, scroll: '1m' } })).body
}
found.scroll.sort()
found.cleared = (await client.clearScroll({ body: { scroll_id: [page._scroll_id] } })).body.succeeded
const pit = (await client.createPit({ index, keep_alive: '1m' })).body.pit_id
found.pit = ids((await client.search({ body: { query, pit: { id: pit } } })).body)
found.pitDeleted = (await client.deletePit({ body: { pit_id: [pit] } })).body.pits.map((each) => each.successful)
found.get = (await client.get({ index, id: '2' })).body._source
found.update = (await client.update({ index, id: '2', body: { doc: { text: 'gamma' } }, refresh: true })).body.result
found.updated = (await client.get({ index, id: '2' })).body._source
found.delete = (await client.delete({ index, id: '3', refresh: true })).body.result
found.exists = [(await client.exists({ index, id: '3' })).body, (await client.exists({ index, id: '2' })).body]
found.count = (await client.count({ index, body: { query } })).body.count
await client.indices.putAlias({ index, name: `${index}-alias` })
found.alias = ids((await client.search({ index: `${index}-alias`, body: { query } })).body)
found.aliases = Object.keys((await client.indices.getAlias({ name: `${index}-alias` })).body)
found.cat = (await client.cat.indices({ index, format: 'json' })).body.map((row) => [row.index, row['docs.count']])
found.missing = await failure(() => client.get({ index, id: 'none' }))
found.refused = await failure(() => client.search({ index, body: { query: { nonsense: {} } } }))
await client.indices.delete({ index })
console.log(JSON.stringify(found))
