import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.dubbo.common.utils.NetUtils;
import org.apache.dubbo.config.AbstractInterfaceConfig;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.RpcException;
import org.apache.dubbo.rpc.model.ApplicationModel;
import org.apache.dubbo.rpc.model.FrameworkModel;
import org.apache.dubbo.rpc.service.GenericService;

/** Providers of Dubbo's that register nowhere, and a consumer that finds them by what stands in a ZooKeeper. */
final class DubboCalls implements Peer.Library {
    private final FrameworkModel models = new FrameworkModel();
    private final String hosts;
    private GenericService found;

    public static void main(String[] arguments) {
        Peer.run(() -> new DubboCalls(arguments[0]));
    }

    DubboCalls(String hosts) {
        this.hosts = hosts;
    }

    @Override
    public List<?> act(JsonNode command) {
        switch (command.get("do").asText()) {
            case "serve" -> serve(command.get("port").asInt(), command.path("saying").asText("hello"));
            case "find" -> find(command);
            case "call" -> {
                return call(command.get("whom").asText());
            }
            default -> throw new IllegalArgumentException("cannot do " + command);
        }
        return List.of();
    }

    private void serve(int port, String saying) {
        ApplicationModel model = models.newApplication();
        ServiceConfig<Greeter> service = new ServiceConfig<>(model.newModule());
        service.setInterface(Greeter.class);
        service.setRef(whom -> saying + " " + whom);
        ProtocolConfig protocol = new ProtocolConfig("dubbo", port);
        protocol.setHost(NetUtils.getLocalHost()); // who calls a loopback address calls this one
        bootstrap(model, "provider", service, new RegistryConfig(RegistryConfig.NO_AVAILABLE), protocol)
                .service(service)
                .start();
    }

    /** By its registry-type, which is interface or service; instances stand below services, all else below root. */
    private void find(JsonNode said) {
        ApplicationModel model = models.newApplication();
        RegistryConfig registry = new RegistryConfig("zookeeper://" + hosts);
        registry.setGroup(said.get("root").asText());
        registry.setParameters(new HashMap<>(
                Map.of("registry-type", said.get("by").asText(), "rootPath", said.get("services").asText())));
        ReferenceConfig<GenericService> reference = new ReferenceConfig<>(model.newModule());
        reference.setInterface(Greeter.class.getName());
        reference.setGeneric("true");
        reference.setCheck(false);
        reference.setTimeout(30_000);
        bootstrap(model, "consumer", reference, registry, null).reference(reference).start();
        found = reference.get();
    }

    private static DubboBootstrap bootstrap(
            ApplicationModel model,
            String name,
            AbstractInterfaceConfig config,
            RegistryConfig registry,
            ProtocolConfig protocol) {
        config.setGroup("g");
        config.setVersion("1.0.0");
        ApplicationConfig application = new ApplicationConfig(name);
        application.setQosEnable(false);
        var made = DubboBootstrap.getInstance(model).application(application).registry(registry);
        return protocol == null ? made : made.protocol(protocol);
    }

    /** What was said; nothing when there is nobody to call. */
    private List<?> call(String whom) {
        try {
            return List.of(found.$invoke("greet", new String[] {"java.lang.String"}, new Object[] {whom}));
        } catch (RpcException nobody) {
            return List.of();
        }
    }

    @Override
    public void close() {
        models.destroy();
    }
}
