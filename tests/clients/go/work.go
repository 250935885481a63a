// The ordinary work of a client: work URL INDEX MAPPINGS; prints what each step found, in one JSON object.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
)

const query = `{"query":{"match":{"text":"alpha"}}}`

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ids(hits []opensearchapi.SearchHit) []string {
	found := []string{}
	for _, hit := range hits {
		found = append(found, hit.ID)
	}
	sort.Strings(found)
	return found
}

func status(err error) int {
	var structured *opensearch.StructError
	if errors.As(err, &structured) {
		return structured.Status
	}
	return 0
}

func main() {
	url, index, mappings := os.Args[1], os.Args[2], os.Args[3]
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{Addresses: []string{url}}})
	check(err)
	found := map[string]any{}
	_, err = client.Indices.Create(ctx, opensearchapi.IndicesCreateReq{Index: index, Body: strings.NewReader(`{"mappings":` + mappings + `}`)})
	check(err)
	write(client, index, found)
	search(client, index, found)
	change(client, index, found)
	_, err = client.Indices.Delete(ctx, opensearchapi.IndicesDeleteReq{Indices: []string{index}})
	check(err)
	line, err := json.Marshal(found)
	check(err)
	fmt.Println(string(line))
}

func write(client *opensearchapi.Client, index string, found map[string]any) {
	one, err := client.Index(ctx, opensearchapi.IndexReq{Index: index, DocumentID: "1", Body: strings.NewReader(`{"text":"alpha beta","n":1}`)})
	check(err)
	found["index"] = one.Result
	lines := ""
	for n := 2; n < 7; n++ {
		lines += fmt.Sprintf("{\"index\":{\"_id\":\"%d\"}}\n{\"text\":\"alpha number %d\",\"n\":%d}\n", n, n, n)
	}
	bulk, err := client.Bulk(ctx, opensearchapi.BulkReq{Index: index, Body: strings.NewReader(lines), Params: opensearchapi.BulkParams{Refresh: "true"}})
	check(err)
	found["bulk"] = []any{bulk.Errors, len(bulk.Items)}
}

func search(client *opensearchapi.Client, index string, found map[string]any) {
	page, err := client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index}, Body: strings.NewReader(query)})
	check(err)
	found["search"], found["total"] = ids(page.Hits.Hits), page.Hits.Total.Value
	sources := []string{}
	for _, hit := range page.Hits.Hits {
		sources = append(sources, string(hit.Source))
	}
	sort.Strings(sources)
	found["sources"] = sources
	lines := "{}\n" + query + "\n{}\n" + `{"query":{"term":{"n":3}}}` + "\n"
	several, err := client.MSearch(ctx, opensearchapi.MSearchReq{Indices: []string{index}, Body: strings.NewReader(lines)})
	check(err)
	items := [][]string{}
	for _, each := range several.Responses {
		items = append(items, ids(each.Hits.Hits))
	}
	found["msearch"] = items
	scroll, err := client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index}, Body: strings.NewReader(query), Params: opensearchapi.SearchParams{Scroll: time.Minute, Size: opensearchapi.ToPointer(4)}})
	check(err)
	next, err := client.Scroll.Get(ctx, opensearchapi.ScrollGetReq{ScrollID: *scroll.ScrollID})
	check(err)
	all := append(ids(scroll.Hits.Hits), ids(next.Hits.Hits)...)
	sort.Strings(all)
	found["scroll"] = all
	pit, err := client.PointInTime.Create(ctx, opensearchapi.PointInTimeCreateReq{Indices: []string{index}, Params: opensearchapi.PointInTimeCreateParams{KeepAlive: time.Minute}})
	check(err)
	body := `{"query":{"match":{"text":"alpha"}},"pit":{"id":"` + pit.PitID + `"}}`
	page, err = client.Search(ctx, &opensearchapi.SearchReq{Body: strings.NewReader(body)})
	check(err)
	found["pit"] = ids(page.Hits.Hits)
	_, err = client.PointInTime.Delete(ctx, opensearchapi.PointInTimeDeleteReq{PitID: []string{pit.PitID}})
	check(err)
}

func change(client *opensearchapi.Client, index string, found map[string]any) {
	update, err := client.Update(ctx, opensearchapi.UpdateReq{Index: index, DocumentID: "2", Body: strings.NewReader(`{"doc":{"text":"gamma"}}`), Params: opensearchapi.UpdateParams{Refresh: "true"}})
	check(err)
	found["update"] = update.Result
	document, err := client.Document.Get(ctx, opensearchapi.DocumentGetReq{Index: index, DocumentID: "2"})
	check(err)
	found["updated"] = document.Source
	gone, err := client.Document.Delete(ctx, opensearchapi.DocumentDeleteReq{Index: index, DocumentID: "3", Params: opensearchapi.DocumentDeleteParams{Refresh: "true"}})
	check(err)
	found["delete"] = gone.Result
	count, err := client.Indices.Count(ctx, &opensearchapi.IndicesCountReq{Indices: []string{index}, Body: strings.NewReader(query)})
	check(err)
	found["count"] = count.Count
	_, err = client.Indices.Alias.Put(ctx, opensearchapi.AliasPutReq{Indices: []string{index}, Alias: index + "-alias"})
	check(err)
	page, err := client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index + "-alias"}, Body: strings.NewReader(query)})
	check(err)
	found["alias"] = ids(page.Hits.Hits)
	rows, err := client.Cat.Indices(ctx, &opensearchapi.CatIndicesReq{Indices: []string{index}})
	check(err)
	found["cat"] = len(rows.Indices)
	_, err = client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index}, Body: strings.NewReader(`{"query":{"nonsense":{}}}`)})
	found["refused"] = status(err)
	_, err = client.Indices.Get(ctx, opensearchapi.IndicesGetReq{Indices: []string{"no-such-index"}})
	found["missing"] = status(err)
}
