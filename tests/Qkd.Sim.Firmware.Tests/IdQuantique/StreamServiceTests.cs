using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.IdQuantique.RawClient;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>The stream service beside the instrument.</summary>
public sealed class StreamServiceTests
{
    [Fact]
    public async Task Streams_are_started_listed_and_stopped()
    {
        await using var client = await StartAsync();

        client.AskService("list").ToString().ShouldBe("[]");
        var started = client.AskService($"start-stream --address 127.0.0.1 --channel 1 --stream-port {client.StreamPort} --with-ref-index");
        var id = started.GetProperty("id").GetString();
        id.ShouldBe("127.0.0.1:5556");
        client.AskService($"start-stream --channel 3 --stream-port {client.StreamPort + 2} --address localhost")
            .GetProperty("id").GetString().ShouldBe("localhost:5558");
        client.AskService("list").EnumerateArray().Select(item => item.GetString()).ShouldBe(["127.0.0.1:5556", "localhost:5558"]);

        var status = client.AskService($"status --id {id}");
        status.GetProperty("acquisitions_count").GetInt64().ShouldBe(0);
        status.GetProperty("timestamps_count").GetInt64().ShouldBe(0);
        status.GetProperty("inactivity").GetDouble().ShouldBeGreaterThanOrEqualTo(0);
        status.GetProperty("errors").GetArrayLength().ShouldBe(0);
        status.TryGetProperty("error", out _).ShouldBeFalse();

        client.AskService($"stop --id {id}").GetProperty("status").GetProperty("acquisitions_count").GetInt64().ShouldBe(0);
        client.AskService("list").GetArrayLength().ShouldBe(1);
        client.StartStream(1); // the port is free again
    }

    [Theory]
    [InlineData("start-stream --address 127.0.0.1 --channel 5 --stream-port 4242")]
    [InlineData("start-stream --address 127.0.0.1 --channel 1 --stream-port 0")]
    [InlineData("start-stream --address 127.0.0.1 --channel 1")]
    [InlineData("start-stream --address --channel 1 --stream-port 4242")]
    [InlineData("start-stream --address 10.1.2.3 --channel 1 --stream-port 4242")]
    [InlineData("start-save --address 127.0.0.1 --channel 1 --filename \"a b.bin\" --format bin")]
    [InlineData("status --id 127.0.0.1:5556")]
    [InlineData("stop --id nobody")]
    [InlineData("dance")]
    [InlineData("")]
    public async Task What_it_cannot_do_is_answered_by_an_error(string command)
    {
        await using var client = await StartAsync();

        Error(client.AskService(command)).ShouldNotBeNullOrWhiteSpace();
    }

    [Fact]
    public async Task A_channel_has_one_stream_and_a_port_in_use_is_refused()
    {
        await using var client = await StartAsync();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        Error(client.AskService($"start-stream --address 127.0.0.1 --channel 1 --stream-port {port}")).ShouldContain($"{port}");
        client.StartStream(1);
        Error(client.AskService($"start-stream --address 127.0.0.1 --channel 1 --stream-port {client.StreamPort + 1}")).ShouldContain("channel 1");
        client.AskService("list").GetArrayLength().ShouldBe(1);
    }

    private static string Error(JsonElement answer) => answer.GetProperty("error").GetProperty("description").GetString()!;
}
