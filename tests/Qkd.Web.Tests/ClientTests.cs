using System.Net;
using System.Text.Json;
using NSubstitute;
using NSubstitute.ExceptionExtensions;
using Qkd.Keys;
using Qkd.Web.Etsi014;
using Qkd.Web.Tests.Support;

namespace Qkd.Web.Tests;

/// <summary>The product's own client, against its server and against servers that misbehave.</summary>
public sealed class ClientTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private KeyPair _keys = null!;
    private BenchServer _server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _keys = new KeyPair(_folder.Path);
        await _keys.MakeAsync();
        _server = await BenchServer.StartAsync(_keys.Alice, _keys.Bob);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _keys.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Two_applications_share_keys()
    {
        using var alice = Client(_server.Alice, "sae-alice");
        using var bob = Client(_server.Bob, "sae-bob");
        var given = await alice.GetKeysAsync("sae-bob", 3, 512, Cancel);
        given.Keys.Count.ShouldBe(3);
        given.Keys.ShouldAllBe(key => key.Key.Length == 64 && key.Extension!.Emulated && key.Extension.Grade == "Attested");

        var taken = await bob.GetKeysByIdAsync("sae-alice", [.. given.Keys.Select(key => key.KeyId)], Cancel);
        taken.Keys.Select(key => (key.KeyId, Convert.ToHexString(key.Key))).ShouldBe(given.Keys.Select(key => (key.KeyId, Convert.ToHexString(key.Key))));

        (await alice.GetKeysAsync("sae-bob", 1, null, Cancel)).Keys.ShouldHaveSingleItem().Key.Length.ShouldBe(32);
    }

    [Fact]
    public async Task Status_is_read_in_full()
    {
        using var alice = Client(_server.Alice, "sae-alice");
        var status = await alice.GetStatusAsync("sae-bob", Cancel);
        var expected = _keys.Alice.GetStatus("sae-alice", "sae-bob");
        (status.SourceKmeId, status.TargetKmeId, status.MasterSaeId, status.SlaveSaeId).ShouldBe(("kme-alice", "kme-bob", "sae-alice", "sae-bob"));
        (status.KeySize, status.MinKeySize, status.MaxKeySize).ShouldBe((expected.KeySizeBits, expected.MinimumKeySizeBits, expected.MaximumKeySizeBits));
        (status.StoredKeyCount, status.MaxKeyCount, status.MaxKeyPerRequest).ShouldBe((expected.StoredKeyCount, expected.MaximumKeyCount, expected.MaximumKeysPerRequest));
        status.MaxSaeIdCount.ShouldBe(expected.MaximumAdditionalSlaves);
        status.Extension!.Pool.ShouldBe(expected.Level.ToString().ToUpperInvariant());
        status.Extension.Provenances.ShouldHaveSingleItem().Emulated.ShouldBeTrue();
    }

    [Fact]
    public async Task A_refusal_is_told_with_its_status_and_its_reason()
    {
        using var alice = Client(_server.Alice, "sae-alice");
        var refusal = await Should.ThrowAsync<Etsi014Exception>(() => alice.GetKeysAsync("sae-bob", 1, 100, Cancel));
        refusal.Status.ShouldBe(HttpStatusCode.BadRequest);
        refusal.Message.ShouldContain("size shall be a multiple of 8");
        refusal.Message.ShouldContain("enc_keys");

        using var carol = Client(_server.Bob, "sae-carol");
        var given = await alice.GetKeysAsync("sae-bob", 1, null, Cancel);
        (await Should.ThrowAsync<Etsi014Exception>(() => carol.GetKeysByIdAsync("sae-alice", [given.Keys[0].KeyId], Cancel))).Status.ShouldBe(HttpStatusCode.Unauthorized);
        given.Keys[0].ToString().ShouldNotContain(Convert.ToBase64String(given.Keys[0].Key));
    }

    [Fact]
    public async Task An_id_with_signs_of_its_own_arrives_as_it_is()
    {
        var delivery = Substitute.For<IKeyDelivery>();
        delivery.GetStatus(default!, default!).ThrowsForAnyArgs(new KeyRequestException("asked"));
        await using var server = await BenchServer.StartAsync(delivery, null);
        using var alice = Client(server.Alice, "sae-alice", server.Layout);
        await Should.ThrowAsync<Etsi014Exception>(() => alice.GetStatusAsync("böb & co?x=1#y%41", Cancel));
        delivery.Received(1).GetStatus("sae-alice", "böb & co?x=1#y%41");
    }

    [Fact]
    public async Task A_server_of_another_authority_is_not_asked()
    {
        using var elsewhere = new TempFolder();
        var other = new BenchLayout(elsewhere.Path);
        BenchAuthority.Initialise(other);
        using var alice = Etsi014Client.Create(
            _server.Alice, _server.Layout.ClientCertificate("sae-alice"), _server.Layout.ClientKey("sae-alice"), other.AuthorityCertificate);
        (await Should.ThrowAsync<HttpRequestException>(() => alice.GetKeysAsync("sae-bob", 1, null, Cancel))).Message.ShouldContain(_server.Alice.Authority);
        _keys.Alice.GetStatus("sae-alice", "sae-bob").StoredKeyCount.ShouldBe(64);
    }

    [Fact]
    public async Task A_client_that_the_server_does_not_know_is_told_who_could_not_be_asked()
    {
        using var elsewhere = new TempFolder();
        var other = new BenchLayout(elsewhere.Path);
        BenchAuthority.Initialise(other);
        using var alice = Etsi014Client.Create(_server.Alice, other.ClientCertificate("sae-alice"), other.ClientKey("sae-alice"), _server.Layout.AuthorityCertificate);
        (await Should.ThrowAsync<HttpRequestException>(() => alice.GetStatusAsync("sae-bob", Cancel))).Message.ShouldContain(_server.Alice.Authority);
    }

    [Fact]
    public async Task Nobody_at_the_address_is_told_with_the_address()
    {
        using var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        using var alice = Client(new Uri($"https://127.0.0.1:{port}"), "sae-alice");
        (await Should.ThrowAsync<HttpRequestException>(() => alice.GetStatusAsync("sae-bob", Cancel))).Message.ShouldContain($"127.0.0.1:{port}");
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"keys\": [{\"key_ID\": \"seven\", \"key\": \"\"}]}")]
    [InlineData("{\"keys\": [{\"key_ID\": \"7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001\"}]}")]
    [InlineData("{\"keys\": [{\"key_ID\": \"7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001\", \"key\": \"?\"}]}")]
    [InlineData("<html>")]
    public async Task An_answer_that_makes_no_sense_is_an_error_and_no_key(string body)
    {
        await using var odd = await OddServer.StartAsync(_server.Layout, 200, body);
        using var alice = Client(odd.Address, "sae-alice");
        (await Should.ThrowAsync<Etsi014Exception>(() => alice.GetKeysAsync("sae-bob", 1, null, Cancel))).Message.ShouldContain("not as it must be");
    }

    [Theory]
    [InlineData("", "no reason given")]
    [InlineData("<html>", "no reason given")]
    [InlineData("{}", "no reason given")]
    [InlineData("{\"message\": \"full\", \"details\": [{\"a\": 1}]}", "full")]
    public async Task A_refusal_of_another_make_is_told_as_far_as_it_can_be_read(string body, string told)
    {
        await using var odd = await OddServer.StartAsync(_server.Layout, 503, body);
        using var alice = Client(odd.Address, "sae-alice");
        var refusal = await Should.ThrowAsync<Etsi014Exception>(() => alice.GetStatusAsync("sae-bob", Cancel));
        refusal.Status.ShouldBe(HttpStatusCode.ServiceUnavailable);
        refusal.Message.ShouldContain(told);
    }

    [Fact]
    public async Task Members_of_another_make_are_ignored()
    {
        await using var odd = await OddServer.StartAsync(
            _server.Layout, 200, """{"keys": [{"key_ID": "7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001", "key": "AAEC", "key_ID_extension": {}}], "key_container_extension": {"a": 1}}""");
        using var alice = Client(odd.Address, "sae-alice");
        var key = (await alice.GetKeysAsync("sae-bob", 1, null, Cancel)).Keys.ShouldHaveSingleItem();
        key.Key.ShouldBe([0, 1, 2]);
        key.Extension.ShouldBeNull();
    }

    [Fact]
    public async Task A_redirection_is_not_followed()
    {
        await using var odd = await OddServer.StartAsync(_server.Layout, 307, "", new Uri(_server.Alice, "/api/v1/keys/sae-bob/status"));
        using var alice = Client(odd.Address, "sae-alice");
        (await Should.ThrowAsync<Etsi014Exception>(() => alice.GetStatusAsync("sae-bob", Cancel))).Status.ShouldBe(HttpStatusCode.TemporaryRedirect);
    }

    [Fact]
    public async Task The_callers_own_cancellation_ends_the_wait()
    {
        using var alice = Client(_server.Alice, "sae-alice");
        await Should.ThrowAsync<OperationCanceledException>(() => alice.GetStatusAsync("sae-bob", new CancellationToken(canceled: true)));
    }

    [Fact]
    public void Files_that_are_missing_or_no_certificates_are_named()
    {
        var layout = _server.Layout;
        var (certificate, key) = (layout.ClientCertificate("sae-alice"), layout.ClientKey("sae-alice"));
        Should.Throw<KeyStoreException>(() => Etsi014Client.Create(_server.Alice, _folder["none.pem"], key, layout.AuthorityCertificate)).Message.ShouldContain("none.pem");
        Should.Throw<KeyStoreException>(() => Etsi014Client.Create(_server.Alice, certificate, _folder["none.key"], layout.AuthorityCertificate)).Message.ShouldContain("none.key");
        Should.Throw<KeyStoreException>(() => Etsi014Client.Create(_server.Alice, certificate, key, _folder["none.pem"])).Message.ShouldContain("none.pem");
        Should.Throw<KeyStoreException>(() => Etsi014Client.Create(_server.Alice, certificate, layout.ClientKey("sae-bob"), layout.AuthorityCertificate)).Message.ShouldContain("sae-alice.pem");
    }

    [Fact]
    public void Indented_json_is_what_the_wire_says()
    {
        var container = new Etsi014KeyContainer { Keys = [new Etsi014Key { KeyId = Guid.Parse("7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001"), Key = [0xFB, 0xEF, 0xFF] }] };
        var text = JsonSerializer.Serialize(container, Etsi014Json.Indented);
        text.ShouldContain("\n");
        text.ShouldContain("\"++//\"");
        JsonDocument.Parse(text).RootElement.GetProperty("keys")[0].EnumerateObject().Select(member => member.Name).ShouldBe(["key_ID", "key"]);
    }

    private Etsi014Client Client(Uri address, string sae, BenchLayout? layout = null)
    {
        layout ??= _server.Layout;
        return Etsi014Client.Create(address, layout.ClientCertificate(sae), layout.ClientKey(sae), layout.AuthorityCertificate);
    }
}
