using System.Text;
using Qkd.Keys;
using Qkd.Web.Etsi014;
using Qkd.Web.Tests.Support;

namespace Qkd.Web.Tests;

/// <summary>Requests that make no sense, too many of them, and what goes wrong behind the server.</summary>
public sealed class RequestTests : IAsyncLifetime
{
    private const string Enc = "/api/v1/keys/sae-bob/enc_keys";
    private const string Dec = "/api/v1/keys/sae-bob/dec_keys";
    private const string Id = "7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001";

    private readonly ScriptedDelivery _delivery = new();
    private BenchServer _server = null!;
    private Caller _alice = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await BenchServer.StartAsync(_delivery, null);
        _alice = _server.As("sae-alice");
    }

    public async ValueTask DisposeAsync()
    {
        _alice.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{\"number\": 2")]
    [InlineData("number=2")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("2")]
    [InlineData("\"number\"")]
    [InlineData("{} {}")]
    [InlineData("{'number': 2}")]
    [InlineData("{\"number\": 2,}")]
    [InlineData("{\"number\": \"2\"}")]
    [InlineData("{\"number\": 1.5}")]
    [InlineData("{\"number\": null}")]
    [InlineData("{\"number\": true}")]
    [InlineData("{\"number\": 99999999999999999999}")]
    [InlineData("{\"number\": 1, \"number\": 2}")]
    [InlineData("{\"size\": \"256\"}")]
    [InlineData("{\"size\": {}}")]
    [InlineData("{\"size\": -8.5}")]
    [InlineData("{\"additional_slave_SAE_IDs\": \"sae-carol\"}")]
    [InlineData("{\"additional_slave_SAE_IDs\": [1]}")]
    [InlineData("{\"additional_slave_SAE_IDs\": [\"\\ud800\"]}")]
    [InlineData("{\"extension_optional\": {}}")]
    [InlineData("{\"extension_mandatory\": {}}")]
    public async Task A_malformed_request_for_keys_is_refused_and_nothing_is_taken_for_granted(string body)
    {
        (await _alice.PostAsync(_server.Alice, Enc, body)).ShouldBeError(400);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Bytes_that_are_no_utf8_are_refused()
    {
        (await _alice.PostAsync(_server.Alice, Enc, [.. "{\"additional_slave_SAE_IDs\": [\""u8, 0xFF, 0xFE, .. "\"]}"u8])).ShouldBeError(400);
        (await _alice.PostAsync(_server.Alice, Enc, new byte[64])).ShouldBeError(400);
        (await _alice.PostAsync(_server.Alice, Enc, Encoding.Unicode.GetBytes("{}"))).ShouldBeError(400);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Json_nested_without_end_is_refused() =>
        (await _alice.PostAsync(_server.Alice, Enc, $"{{\"a\": {new string('[', 50_000)}")).ShouldBeError(400);

    [Theory]
    [InlineData("number=")]
    [InlineData("number=two")]
    [InlineData("number=1.5")]
    [InlineData("number=-1")]
    [InlineData("number=1&number=2")]
    [InlineData("number=99999999999999999999")]
    [InlineData("size=256bit")]
    [InlineData("size=+256")]
    [InlineData("extension_mandatory=x")]
    [InlineData("additional_slave_SAE_IDs=sae-carol")]
    public async Task A_malformed_query_is_refused(string query)
    {
        (await _alice.GetAsync(_server.Alice, $"{Enc}?{query}")).ShouldBeError(400);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_mandatory_extension_is_refused_in_the_words_of_the_standard()
    {
        var answer = await _alice.PostAsync(_server.Alice, Enc, """{"number": 1, "extension_mandatory": [{"abc_route_type": "direct"}]}""");
        answer.ShouldBeError(400).ShouldBe("not all extension_mandatory parameters are supported");
        _delivery.Asked.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("{\"key_IDs\": []}")]
    [InlineData("{\"key_IDs\": null}")]
    [InlineData("{\"key_IDs\": \"" + Id + "\"}")]
    [InlineData("{\"key_IDs\": [\"" + Id + "\"]}")]
    [InlineData("{\"key_IDs\": [{}]}")]
    [InlineData("{\"key_IDs\": [{\"key_ID\": 7}]}")]
    [InlineData("{\"key_IDs\": [{\"key_ID\": \"seven\"}]}")]
    [InlineData("{\"key_IDs\": [{\"key_ID\": \"{" + Id + "}\"}]}")]
    [InlineData("{\"key_IDs\": [{\"key_ID\": \"" + Id + "\"}, {\"key_ID\": \"" + Id + "\"}]}")]
    [InlineData("{\"key_IDs\": [{\"key_ID\": \"" + Id + "\"}]")]
    public async Task A_malformed_request_by_ids_is_refused(string body)
    {
        (await _alice.PostAsync(_server.Alice, Dec, body)).ShouldBeError(400);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("?key_ID=")]
    [InlineData("?key_ID=seven")]
    [InlineData("?key_ID=" + Id + "&key_ID=7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d002")]
    public async Task A_malformed_query_by_id_is_refused(string query)
    {
        (await _alice.GetAsync(_server.Alice, Dec + query)).ShouldBeError(400);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task What_was_asked_reaches_the_keys_as_it_was_asked()
    {
        await _alice.PostAsync(_server.Alice, "/api/v1/keys/b%C3%B6b%20%26%20co/enc_keys", """{"number": 2, "size": 128, "additional_slave_SAE_IDs": ["c", "d"]}""");
        await _alice.GetAsync(_server.Alice, $"{Dec}?key_ID={Id.ToUpperInvariant()}");
        await _alice.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status");

        var request = _delivery.Asked.First().ShouldBeOfType<KeyRequest>();
        (request.MasterSaeId, request.SlaveSaeId, request.Number, request.SizeBits, request.AttestedOnly).ShouldBe(("sae-alice", "böb & co", 2, 128, false));
        request.AdditionalSlaveSaeIds.ShouldBe(["c", "d"]);
        _delivery.Asked.Skip(1).ShouldBe([("sae-alice", "sae-bob", Id), ("sae-alice", "sae-bob")]);
    }

    [Theory]
    [InlineData("PUT", Enc)]
    [InlineData("DELETE", Dec)]
    [InlineData("POST", "/api/v1/keys/sae-bob/status")]
    [InlineData("GET", "/api/v1/keys/sae-bob")]
    [InlineData("GET", "/api/v1/keys")]
    [InlineData("GET", "/api/v1/keys/sae-bob/enc_keys/more")]
    public async Task There_are_three_methods_and_no_more(string verb, string path)
    {
        (await _alice.SendAsync(new HttpRequestMessage(new HttpMethod(verb), new Uri(_server.Alice, path)))).Status.ShouldBe(404);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_without_end_is_refused(bool lengthTold)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_server.Alice, Enc))
        {
            Content = new ByteArrayContent(Encoding.ASCII.GetBytes($"{{\"a\": \"{new string('a', (int)Etsi014Server.LargestBody)}\"}}")),
        };
        request.Headers.TransferEncodingChunked = !lengthTold;
        (await _alice.SendAsync(request)).ShouldBeError(413);
        _delivery.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task An_application_that_asks_without_end_is_refused_and_the_others_are_served()
    {
        var gate = new TaskCompletionSource();
        _delivery.OnGetKeys = async request =>
        {
            if (request.MasterSaeId == "sae-alice")
            {
                await gate.Task.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);
            }

            return ScriptedDelivery.Key();
        };
        const int room = CallerLimits.AtOnce + CallerLimits.Waiting;
        var asked = Enumerable.Range(0, room + 1).Select(_ => _alice.GetAsync(_server.Alice, Enc)).ToList();

        // Only the one for which there is no room can end while the gate is closed.
        var refused = await Task.WhenAny(asked).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        (await refused).ShouldBeError(503).ShouldContain("too many");
        using (var bob = _server.As("sae-bob"))
        {
            (await bob.GetAsync(_server.Alice, Enc)).Status.ShouldBe(200);
        }

        gate.SetResult();
        (await Task.WhenAll(asked)).Count(answer => answer.Status == 200).ShouldBe(room);
    }

    [Fact]
    public async Task A_peer_that_cannot_be_reached_is_said()
    {
        _delivery.OnGetKeys = _ => throw new KeyPeerException("There is no connection to the peer.");
        (await _alice.GetAsync(_server.Alice, Enc)).ShouldBeError(503).ShouldBe("There is no connection to the peer.");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_wrong_inside_is_for_the_log_and_not_for_the_caller(bool known)
    {
        const string inside = "/var/lib/qkd/alice/store/keys.db";
        _delivery.OnGetKeys = _ => throw (known ? new KeyStoreDamagedException(inside) : new InvalidOperationException(inside));
        (await _alice.GetAsync(_server.Alice, Enc)).ShouldBeError(503).ShouldNotContain(inside);
        _server.Logged.Lines.ShouldContain(line => line.StartsWith("Error", StringComparison.Ordinal) && line.Contains(inside, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_key_is_erased_from_memory_once_it_is_written()
    {
        var key = ScriptedDelivery.Key();
        _delivery.OnGetKeys = _ => Task.FromResult(key);
        (await _alice.GetAsync(_server.Alice, Enc)).Only().Key.ShouldBe(Enumerable.Repeat((byte)0x5A, 32));

        // The answer is read before the server has come to its end: the next one is answered after it on the same connection.
        (await _alice.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status")).Status.ShouldBe(200);
        key.Bytes.ShouldAllBe(b => b == 0);
    }
}
