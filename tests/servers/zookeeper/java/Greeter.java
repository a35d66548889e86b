/** What is called of a provider of Dubbo's. */
public interface Greeter {
    String greet(String whom);
}
