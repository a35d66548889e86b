import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.boot.Banner;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cloud.client.ServiceInstance;
import org.springframework.cloud.loadbalancer.core.ServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.support.LoadBalancerClientFactory;
import org.springframework.cloud.zookeeper.discovery.ZookeeperDiscoveryClient;
import org.springframework.cloud.zookeeper.serviceregistry.ZookeeperRegistration;
import org.springframework.cloud.zookeeper.serviceregistry.ZookeeperServiceRegistry;
import org.springframework.context.ConfigurableApplicationContext;

/** An application of Spring Boot, which registers itself as `web`, and finds others, with what Spring Cloud has for it. */
final class Spring implements Peer.Library {
    private final ConfigurableApplicationContext context;

    @SpringBootConfiguration
    @EnableAutoConfiguration
    static class Application {}

    public static void main(String[] arguments) {
        Peer.run(() -> new Spring(arguments[0], arguments[1], arguments[2], arguments[3]));
    }

    Spring(String hosts, String root, String address, String port) {
        String cloud = "spring.cloud.zookeeper.";
        context = new SpringApplicationBuilder(Application.class)
                .web(WebApplicationType.NONE)
                .bannerMode(Banner.Mode.OFF)
                .properties(
                        "spring.application.name=web",
                        cloud + "connect-string=" + hosts,
                        cloud + "discovery.root=" + root,
                        cloud + "discovery.instance-host=" + address,
                        cloud + "discovery.instance-port=" + port,
                        cloud + "discovery.metadata.team=payments",
                        "spring.cloud.loadbalancer.cache.enabled=false")
                .run();
    }

    @Override
    public List<?> act(JsonNode command) {
        var registry = context.getBean(ZookeeperServiceRegistry.class);
        switch (command.get("do").asText()) {
            case "register" -> registry.register(context.getBean(ZookeeperRegistration.class));
            case "unregister" -> registry.deregister(context.getBean(ZookeeperRegistration.class));
            case "status" -> registry.setStatus(
                    context.getBean(ZookeeperRegistration.class), command.get("status").asText());
            case "names" -> {
                return context.getBean(ZookeeperDiscoveryClient.class).getServices();
            }
            case "list" -> {
                return told(context.getBean(ZookeeperDiscoveryClient.class)
                        .getInstances(command.get("name").asText()));
            }
            case "balance" -> {
                return told(balanced(command.get("name").asText()));
            }
            default -> throw new IllegalArgumentException("cannot do " + command);
        }
        return List.of();
    }

    /** Those among whom its load balancer chooses. */
    private List<ServiceInstance> balanced(String name) {
        return context.getBean(LoadBalancerClientFactory.class)
                .getInstance(name, ServiceInstanceListSupplier.class)
                .get()
                .blockFirst();
    }

    private static List<Map<String, Object>> told(List<ServiceInstance> instances) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (ServiceInstance one : instances) {
            Map<String, Object> said = new LinkedHashMap<>();
            said.put("id", one.getInstanceId());
            said.put("address", one.getHost());
            said.put("port", one.getPort());
            said.put("uri", String.valueOf(one.getUri()));
            said.put("metadata", one.getMetadata());
            all.add(said);
        }
        return all;
    }

    @Override
    public void close() {
        context.close();
    }
}
