using System.Net;
using Qkd.Node.Configuration;
using Shouldly;

namespace Qkd.Configuration.Tests;

public sealed class HostAndPortTests
{
    [Theory]
    [InlineData("127.0.0.1:5700", "127.0.0.1", 5700)]
    [InlineData("localhost:0", "localhost", 0)]
    [InlineData("kme-bob.example:65535", "kme-bob.example", 65535)]
    [InlineData("[::1]:8443", "::1", 8443)]
    [InlineData("[fe80::1:2]:1", "fe80::1:2", 1)]
    public void An_endpoint_is_read_and_written(string text, string host, int port)
    {
        HostAndPort.TryParse(text, out var endpoint).ShouldBeTrue();
        endpoint.ShouldBe(new HostAndPort(host, port));
        endpoint.ToString().ShouldBe(text);
        HostAndPort.Parse(text).ShouldBe(endpoint);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("localhost")]
    [InlineData("localhost:")]
    [InlineData(":5700")]
    [InlineData("5700")]
    [InlineData("localhost:-1")]
    [InlineData("localhost:+1")]
    [InlineData("localhost: 1")]
    [InlineData("localhost:65536")]
    [InlineData("localhost:99999999999")]
    [InlineData("localhost:http")]
    [InlineData("::1:8443")]
    [InlineData("[::1]")]
    [InlineData("[::1:8443")]
    [InlineData("[]:8443")]
    [InlineData("[localhost]:8443")]
    [InlineData("http://localhost:8443")]
    [InlineData("two words:8443")]
    public void Anything_else_is_not(string? text)
    {
        HostAndPort.TryParse(text, out var endpoint).ShouldBeFalse();
        endpoint.ShouldBe(default);
        Should.Throw<FormatException>(() => HostAndPort.Parse(text!)).Message.ShouldContain("host:port");
    }

    [Fact]
    public async Task Numeric_addresses_are_resolved_as_they_stand()
    {
        var cancellation = TestContext.Current.CancellationToken;
        (await HostAndPort.Parse("[::1]:8443").ResolveAsync(cancellation)).ShouldBe(new IPEndPoint(IPAddress.IPv6Loopback, 8443));
        (await HostAndPort.Parse("127.0.0.1:0").ResolveAsync(cancellation)).ShouldBe(new IPEndPoint(IPAddress.Loopback, 0));
    }
}
