import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.details.ServiceCacheListener;

/** Curator's service discovery below a path, with payloads of one class: that of Spring Cloud, of Dubbo, or any. */
final class Curator implements Peer.Library {
    private final CuratorFramework client;
    private final ServiceDiscovery<Object> discovery;
    private final Class<?> payload;
    private final Map<String, ServiceInstance<Object>> registered = new HashMap<>();

    public static void main(String[] arguments) {
        Peer.run(() -> new Curator(arguments[0], arguments[1], Class.forName(arguments[2])));
    }

    @SuppressWarnings("unchecked")
    Curator(String hosts, String base, Class<?> payload) throws Exception {
        this.payload = payload;
        client = CuratorFrameworkFactory.newClient(hosts, 4000, 10000, new ExponentialBackoffRetry(100, 5));
        client.start();
        client.blockUntilConnected();
        discovery = ServiceDiscoveryBuilder.builder((Class<Object>) payload).client(client).basePath(base).build();
        discovery.start();
    }

    @Override
    public List<?> act(JsonNode command) throws Exception {
        switch (command.get("do").asText()) {
            case "register" -> discovery.registerService(instance(command));
            case "update" -> discovery.updateService(instance(command));
            case "unregister" -> discovery.unregisterService(registered.remove(command.get("id").asText()));
            case "watch" -> watch(command.get("name").asText());
            case "names" -> {
                return new ArrayList<>(discovery.queryForNames());
            }
            case "list" -> {
                return told(discovery.queryForInstances(command.get("name").asText()));
            }
            default -> throw new IllegalArgumentException("cannot do " + command);
        }
        return List.of();
    }

    private ServiceInstance<Object> instance(JsonNode said) throws Exception {
        var made = ServiceInstance.<Object>builder()
                .name(said.get("name").asText())
                .id(said.get("id").asText())
                .address(said.get("address").asText())
                .port(said.get("port").asInt())
                .serviceType(ServiceType.valueOf(said.path("type").asText("DYNAMIC")));
        if (said.has("payload")) {
            Class<?> kind = payload == Object.class ? TreeMap.class : payload;
            made.payload(Peer.JSON.treeToValue(said.get("payload"), kind));
        }
        var instance = made.build();
        registered.put(instance.getId(), instance);
        return instance;
    }

    private void watch(String name) throws Exception {
        ServiceCache<Object> cache = discovery.serviceCacheBuilder().name(name).build();
        cache.addListener(new ServiceCacheListener() {
            @Override
            public void cacheChanged() {
                Peer.seen(name, told(cache.getInstances()));
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        });
        cache.start();
        Peer.seen(name, told(cache.getInstances()));
    }

    private static List<Map<String, Object>> told(Collection<ServiceInstance<Object>> instances) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (var one : instances) {
            Map<String, Object> said = new LinkedHashMap<>();
            said.put("id", one.getId());
            said.put("address", one.getAddress());
            said.put("port", one.getPort());
            said.put("type", one.getServiceType());
            said.put("uri", one.buildUriSpec());
            said.put("payload", one.getPayload());
            all.add(said);
        }
        return all;
    }

    @Override
    public void close() throws IOException {
        discovery.close();
        client.close();
    }
}
