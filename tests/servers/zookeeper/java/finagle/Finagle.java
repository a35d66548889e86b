import com.fasterxml.jackson.databind.JsonNode;
import com.twitter.finagle.Addr;
import com.twitter.finagle.Address;
import com.twitter.finagle.Resolver;
import com.twitter.finagle.addr.WeightedAddress;
import com.twitter.finagle.common.io.Codec;
import com.twitter.finagle.common.zookeeper.Group;
import com.twitter.finagle.common.zookeeper.ServerSet.EndpointStatus;
import com.twitter.finagle.common.zookeeper.ServerSetImpl;
import com.twitter.finagle.common.zookeeper.ZooKeeperClient;
import com.twitter.finagle.partitioning.zk.ZkMetadata;
import com.twitter.finagle.serverset2.Zk2Resolver;
import com.twitter.finagle.stats.NullStatsReceiver;
import com.twitter.finagle.zookeeper.ZkResolver;
import com.twitter.thrift.ServiceInstance;
import com.twitter.thrift.Status;
import com.twitter.util.Closable;
import com.twitter.util.Duration;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.thrift.TException;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.transport.TIOStreamTransport;
import org.apache.zookeeper.ZooDefs;
import scala.jdk.javaapi.CollectionConverters;
import scala.jdk.javaapi.OptionConverters;
import scala.runtime.BoxedUnit;

/** Finagle's ServerSets: who joins one, and who resolves one, by the old reader ({@code zk}) or the new ({@code zk2}). */
final class Finagle implements Peer.Library {
    /** For how long the new reader gathers changes: zero is its own way for tests. */
    private static final Duration GATHER = Duration.Zero();
    /** After how long without a server it knows nothing any more; its default. */
    private static final Duration UNHEALTHY = Duration.fromMinutes(5);

    private final String hosts;
    private final ZooKeeperClient client;
    @SuppressWarnings("deprecation") // who has not gone over to the new one reads by it
    private final Map<String, Resolver> resolvers = Map.of(
            "zk", new ZkResolver(),
            "zk2", new Zk2Resolver(NullStatsReceiver.get(), GATHER, UNHEALTHY));
    private final Map<String, EndpointStatus> joined = new HashMap<>();
    private final List<Closable> watched = new ArrayList<>();

    public static void main(String[] arguments) {
        Peer.run(() -> new Finagle(arguments[0]));
    }

    Finagle(String hosts) {
        this.hosts = hosts;
        String[] where = hosts.split(":");
        var server = InetSocketAddress.createUnresolved(where[0], Integer.parseInt(where[1]));
        client = new ZooKeeperClient(Duration.fromSeconds(4), server);
    }

    @Override
    public List<?> act(JsonNode command) throws Exception {
        switch (command.get("do").asText()) {
            case "join" -> joined.put(command.get("port").asText(), join(command));
            case "leave" -> joined.remove(command.get("port").asText()).leave();
            case "watch" -> watch(command.get("by").asText(), command.get("path").asText(), command.get("name").asText());
            default -> throw new IllegalArgumentException("cannot do " + command);
        }
        return List.of();
    }

    private EndpointStatus join(JsonNode said) throws Exception {
        String path = said.get("path").asText();
        String host = said.get("host").asText();
        Map<String, InetSocketAddress> further = new LinkedHashMap<>();
        said.path("further").fields().forEachRemaining(
                one -> further.put(one.getKey(), new InetSocketAddress(host, one.getValue().asInt())));
        var address = new InetSocketAddress(host, said.get("port").asInt());
        if (said.has("thrift")) {
            var group = new Group(client, ZooDefs.Ids.OPEN_ACL_UNSAFE, path, "member_");
            var status = Status.valueOf(said.get("thrift").asText());
            return new ServerSetImpl(client, group, new Thrift(status)).join(address, further);
        }
        var set = new ServerSetImpl(client, path);
        if (!said.has("shard")) {
            return set.join(address, further);
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        said.path("metadata").fields().forEachRemaining(one -> metadata.put(one.getKey(), one.getValue().asText()));
        return set.join(address, further, said.get("shard").asInt(), metadata);
    }

    /** {@code path} may end with {@code !} and the name of a further endpoint. */
    private void watch(String by, String path, String name) {
        var addresses = resolvers.get(by).bind(hosts + "!" + path).changes();
        watched.add(addresses.respond(found -> {
            if (!(found instanceof Addr.Bound) && !found.toString().equals("Neg")) {
                System.err.println(name + ": " + found); // it does not know yet
                return BoxedUnit.UNIT;
            }
            List<Map<String, Object>> all = new ArrayList<>();
            if (found instanceof Addr.Bound bound) {
                CollectionConverters.asJava(bound.addrs()).forEach(one -> all.add(told(one)));
            }
            Peer.seen(name, all);
            return BoxedUnit.UNIT;
        }));
    }

    private static Map<String, Object> told(Address address) {
        var weighted = WeightedAddress.extract(address);
        var inet = (Address.Inet) weighted._1();
        Map<String, Object> said = new LinkedHashMap<>();
        said.put("address", inet.addr().getAddress().getHostAddress());
        said.put("port", inet.addr().getPort());
        said.put("weight", weighted._2());
        OptionConverters.toJava(ZkMetadata.fromAddrMetadata(inet.metadata())).ifPresent(more -> {
            said.put("shard", OptionConverters.toJava(more.shardId()).orElse(null));
            said.put("metadata", CollectionConverters.asJava(more.metadata()));
        });
        return said;
    }

    @Override
    public void close() {
        watched.forEach(Closable::close);
        client.close();
    }

    /** As members were written before there was JSON; then they had a status besides {@code ALIVE}, too. */
    private record Thrift(Status status) implements Codec<ServiceInstance> {
        @Override
        public void serialize(ServiceInstance instance, OutputStream sink) throws IOException {
            try {
                instance.setStatus(status).write(new TBinaryProtocol(new TIOStreamTransport(sink)));
            } catch (TException error) {
                throw new IOException(error);
            }
        }

        @Override
        public ServiceInstance deserialize(InputStream source) {
            throw new UnsupportedOperationException("it only joins");
        }
    }
}
