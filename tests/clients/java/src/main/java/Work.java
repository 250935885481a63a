import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.hc.core5.http.HttpHost;
import org.opensearch.client.opensearch.OpenSearchClient;
import org.opensearch.client.opensearch._types.FieldValue;
import org.opensearch.client.opensearch._types.OpenSearchException;
import org.opensearch.client.opensearch._types.Refresh;
import org.opensearch.client.opensearch._types.Time;
import org.opensearch.client.opensearch._types.query_dsl.Query;
import org.opensearch.client.opensearch.core.BulkRequest;
import org.opensearch.client.opensearch.core.search.Hit;
import org.opensearch.client.opensearch.core.search.Pit;
import org.opensearch.client.opensearch.generic.Requests;
import org.opensearch.client.transport.httpclient5.ApacheHttpClient5TransportBuilder;

/** The ordinary work of a client: Work URL INDEX MAPPINGS; prints what each step found, in one JSON object. */
public final class Work {
  private static final Query ALPHA = Query.of(q -> q.match(m -> m.field("text").query(FieldValue.of("alpha"))));

  private final OpenSearchClient client;
  private final String index;
  private final Map<String, Object> found = new LinkedHashMap<>();

  private Work(OpenSearchClient client, String index) {
    this.client = client;
    this.index = index;
  }

  public static void main(String[] arguments) throws Exception {
    var transport = ApacheHttpClient5TransportBuilder.builder(HttpHost.create(arguments[0])).build();
    var work = new Work(new OpenSearchClient(transport), arguments[1]);
    work.create(arguments[2]);
    work.write();
    work.search();
    work.change();
    work.client.indices().delete(d -> d.index(work.index));
    System.out.println(new ObjectMapper().writeValueAsString(work.found));
    transport.close();
  }

  private void create(String mappings) throws Exception {
    var body = "{\"mappings\":" + mappings + "}";
    var request = Requests.builder().endpoint("/" + index).method("PUT").json(body).build();
    try (var answer = client.generic().execute(request)) {
      found.put("created", answer.getStatus());
    }
  }

  private void write() throws Exception {
    var one = document("alpha beta", 1);
    found.put("index", client.index(i -> i.index(index).id("1").document(one)).result().jsonValue());
    var bulk = new BulkRequest.Builder().refresh(Refresh.True);
    for (int n = 2; n < 7; n++) {
      var id = String.valueOf(n);
      var document = document("alpha number " + n, n);
      bulk.operations(o -> o.index(i -> i.index(index).id(id).document(document)));
    }
    found.put("bulk", client.bulk(bulk.build()).items().stream().map(item -> item.status()).toList());
  }

  private void search() throws Exception {
    var page = client.search(s -> s.index(index).query(ALPHA), JsonNode.class);
    found.put("search", ids(page.hits().hits()));
    found.put("total", page.hits().total().value());
    found.put("sources", page.hits().hits().stream().map(h -> h.source().toString()).sorted().toList());
    var several = client.msearch(m -> m
        .searches(i -> i.header(h -> h.index(index)).body(b -> b.query(ALPHA)))
        .searches(i -> i.header(h -> h.index(index)).body(b -> b.query(q -> q.matchAll(a -> a)))), JsonNode.class);
    found.put("msearch", several.responses().stream().map(r -> ids(r.result().hits().hits())).toList());
    var minute = Time.of(t -> t.time("1m"));
    var scroll = client.search(s -> s.index(index).query(ALPHA).size(4).scroll(minute), JsonNode.class);
    var next = client.scroll(s -> s.scrollId(scroll.scrollId()).scroll(minute), JsonNode.class);
    var all = new ArrayList<>(ids(scroll.hits().hits()));
    all.addAll(ids(next.hits().hits()));
    found.put("scroll", all.stream().sorted().toList());
    var pit = client.createPit(p -> p.index(index).keepAlive(minute)).pitId();
    found.put("pit", ids(client.search(s -> s.query(ALPHA).pit(Pit.of(p -> p.id(pit).keepAlive("1m"))), JsonNode.class).hits().hits()));
    found.put("pit_deleted", client.deletePit(p -> p.pitId(List.of(pit))).pits().size());
  }

  private void change() throws Exception {
    var part = Map.of("text", "gamma");
    var update = client.update(u -> u.index(index).id("2").doc(part).refresh(Refresh.True), JsonNode.class);
    found.put("update", update.result().jsonValue());
    found.put("updated", client.get(g -> g.index(index).id("2"), JsonNode.class).source());
    var gone = client.delete(d -> d.index(index).id("3").refresh(Refresh.True));
    found.put("delete", gone.result().jsonValue());
    found.put("exists", Stream.of(client.exists(e -> e.index(index).id("3")), client.exists(e -> e.index(index).id("2")))
        .map(answer -> answer.value()).toList());
    found.put("count", client.count(c -> c.index(index).query(ALPHA)).count());
    client.indices().putAlias(a -> a.index(index).name(index + "-alias"));
    found.put("alias", ids(client.search(s -> s.index(index + "-alias").query(ALPHA), JsonNode.class).hits().hits()));
    found.put("cat", client.cat().indices(c -> c.index(index)).valueBody().get(0).docsCount());
    try {
      client.search(s -> s.index("no-such-index").query(ALPHA), JsonNode.class);
    } catch (OpenSearchException error) {
      found.put("missing", error.status());
    }
  }

  private static JsonNode document(String text, int n) {
    return new ObjectMapper().createObjectNode().put("text", text).put("n", n);
  }

  private static List<String> ids(List<Hit<JsonNode>> hits) {
    return hits.stream().map(Hit::id).sorted().toList();
  }
}
