import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.registry.Registry;
import org.apache.dubbo.registry.RegistryFactory;
import org.apache.dubbo.rpc.model.ApplicationModel;

/** Dubbo's own client of a ZooKeeper registry below a path, by interface. */
final class Dubbo implements Peer.Library {
    private static final String SERVICE = "org.apache.dubbo.registry.RegistryService";
    /** Nothing is kept in the home folder, and lists are told as they change instead of every five seconds. */
    private static final String OPTIONS = "?file-cache=false&delay-notification=20";

    private final ApplicationModel application = ApplicationModel.defaultModel();
    private final Registry registry;

    public static void main(String[] arguments) {
        Peer.run(() -> new Dubbo(arguments[0], arguments[1]));
    }

    Dubbo(String hosts, String root) {
        application.getApplicationConfigManager().setApplication(new ApplicationConfig("peer"));
        registry = application
                .getExtensionLoader(RegistryFactory.class)
                .getExtension("zookeeper")
                .getRegistry(url("zookeeper://" + hosts + "/" + SERVICE + OPTIONS + "&group=" + root));
    }

    @Override
    public List<?> act(JsonNode command) {
        switch (command.get("do").asText()) {
            case "register" -> registry.register(url(command.get("url").asText()));
            case "unregister" -> registry.unregister(url(command.get("url").asText()));
            case "watch" -> watch(command.get("name").asText(), command.path("query").asText());
            default -> throw new IllegalArgumentException("cannot do " + command);
        }
        return List.of();
    }

    private void watch(String name, String query) {
        URL consumer = url("consumer://127.0.0.1/" + name + "?category=providers&interface=" + name + query);
        registry.subscribe(consumer, providers -> Peer.seen(name, told(providers)));
    }

    /** The providers of a list, in which one of `empty://` says that there are none. */
    private static List<Map<String, Object>> told(List<URL> providers) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (URL one : providers) {
            if (!one.getProtocol().equals("empty")) {
                Map<String, Object> said = new LinkedHashMap<>();
                said.put("protocol", one.getProtocol());
                said.put("address", one.getHost());
                said.put("port", one.getPort());
                said.put("weight", one.getParameter("weight", 100));
                all.add(said);
            }
        }
        return all;
    }

    private URL url(String text) {
        return URL.valueOf(text).setScopeModel(application.getDefaultModule());
    }

    @Override
    public void close() {
        registry.destroy();
    }
}
