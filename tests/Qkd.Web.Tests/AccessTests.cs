using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using NSubstitute;
using Qkd.Keys;
using Qkd.Web.Etsi014;
using Qkd.Web.Tests.Support;

namespace Qkd.Web.Tests;

/// <summary>Who gets as far as the keys, and what is served where.</summary>
public sealed class AccessTests : IAsyncLifetime
{
    private const string StatusOfBob = "/api/v1/keys/sae-bob/status";

    private readonly TempFolder _other = new();
    private readonly IKeyDelivery _alice = Substitute.For<IKeyDelivery>();
    private readonly IKeyDelivery _bob = Substitute.For<IKeyDelivery>();
    private BenchServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        foreach (var (delivery, kme) in new[] { (_alice, "kme-alice"), (_bob, "kme-bob") })
        {
            delivery.GetStatus(default!, default!).ReturnsForAnyArgs(call => Statuses.Of(kme, call.ArgAt<string>(0), call.ArgAt<string>(1)));
        }

        _server = await BenchServer.StartAsync(_alice, _bob);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _other.Dispose();
    }

    public static TheoryData<string, SslProtocols> Strangers
    {
        get
        {
            var data = new TheoryData<string, SslProtocols>();
            foreach (var who in new[]
            {
                "no certificate", "another authority", "signed by itself", "expired", "not valid yet", "the node's", "the authority's own", "no purpose", "a server's purpose",
                "signed by an application",
            })
            {
                data.Add(who, SslProtocols.Tls12);
                data.Add(who, SslProtocols.Tls13);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Strangers))]
    public async Task A_stranger_never_gets_an_answer(string who, SslProtocols protocols)
    {
        using (var known = new Caller(Certificates.Load(_server.Layout.ClientCertificate("sae-alice"), _server.Layout.ClientKey("sae-alice")), _server.Layout.AuthorityCertificate, protocols))
        {
            (await known.GetAsync(_server.Alice, StatusOfBob)).Status.ShouldBe(200);
        }

        _alice.ClearReceivedCalls();
        using var stranger = new Caller(Stranger(who), _server.Layout.AuthorityCertificate, protocols);
        await Should.ThrowAsync<HttpRequestException>(() => stranger.GetAsync(_server.Alice, StatusOfBob));
        await Should.ThrowAsync<HttpRequestException>(() => stranger.PostAsync(_server.Alice, "/api/v1/keys/sae-bob/enc_keys", "{}"));
        _alice.ReceivedCalls().ShouldBeEmpty();
    }

    [Fact]
    public async Task Keys_are_not_served_without_tls()
    {
        using var caller = _server.As("sae-alice");
        await Should.ThrowAsync<HttpRequestException>(() => caller.GetAsync(new Uri($"http://127.0.0.1:{_server.Alice.Port}"), StatusOfBob));
        _alice.ReceivedCalls().ShouldBeEmpty();
    }

    [Fact]
    public async Task The_caller_is_who_the_certificate_names_whatever_the_request_says()
    {
        using var caller = _server.As("sae-carol");
        var answer = await caller.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status?master_SAE_ID=sae-alice");
        answer.Json.GetProperty("master_SAE_ID").GetString().ShouldBe("sae-carol");
        _alice.Received(1).GetStatus("sae-carol", "sae-bob");
    }

    [Theory]
    [InlineData("O=sae-alice")]
    [InlineData("CN=sae-alice, CN=sae-bob")]
    [InlineData("")]
    public async Task A_certificate_that_does_not_name_exactly_one_application_is_refused(string subject)
    {
        using var caller = new Caller(Certificates.Sign(_server.Layout, subject), _server.Layout.AuthorityCertificate);
        (await caller.GetAsync(_server.Alice, StatusOfBob)).ShouldBeError(401);
        _alice.ReceivedCalls().ShouldBeEmpty();
    }

    [Fact]
    public void A_name_of_several_parts_at_once_names_nobody()
    {
        using var several = Certificates.Sign(_server.Layout, Certificates.NameOfParts(("2.5.4.3", "sae-alice"), ("2.5.4.11", "lab")));
        using var one = Certificates.Sign(_server.Layout, Certificates.NameOfParts(("2.5.4.3", "sae-alice")));
        SaeIdentity.Of(several, DateTimeOffset.UtcNow).ShouldBeNull();
        SaeIdentity.Of(one, DateTimeOffset.UtcNow).ShouldBe("sae-alice");
    }

    [Fact]
    public void A_certificate_that_expires_while_its_connection_is_open_names_nobody_any_more()
    {
        using var certificate = Certificates.Sign(_server.Layout, "CN=sae-alice, O=lab", untilDays: 1);
        var end = new DateTimeOffset(certificate.NotAfter);
        SaeIdentity.Of(certificate, end).ShouldBe("sae-alice");
        SaeIdentity.Of(certificate, end + TimeSpan.FromSeconds(1)).ShouldBeNull();
        SaeIdentity.Of(null, end).ShouldBeNull();
    }

    [Fact]
    public async Task Each_node_answers_at_its_own_port()
    {
        using var caller = _server.As("sae-alice");
        (await caller.GetAsync(_server.Alice, StatusOfBob)).Json.GetProperty("source_KME_ID").GetString().ShouldBe("kme-alice");
        (await caller.GetAsync(_server.Bob, StatusOfBob)).Json.GetProperty("source_KME_ID").GetString().ShouldBe("kme-bob");
    }

    [Theory]
    [InlineData("/api/v1/keys/sae-bob/status")]
    [InlineData("/API/v1/Keys/sae-bob/status")]
    [InlineData("/api/v1/keys/sae-bob/enc_keys")]
    [InlineData("/api/v1/keys/sae-bob/dec_keys?key_ID=7f0ea1c3-24ab-4a4d-9d2f-77a3c5b1d001")]
    [InlineData("/api/v1/keys/")]
    [InlineData("//api/v1/keys/sae-bob/status")]
    public async Task Keys_are_not_served_where_the_status_page_is(string path)
    {
        using var caller = _server.As("sae-alice");
        var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{_server.Page.Port}{path}");
        request.Headers.Host = $"127.0.0.1:{_server.Alice.Port}";
        (await caller.SendAsync(request)).Status.ShouldBe(404);
        (_alice.ReceivedCalls().Count() + _bob.ReceivedCalls().Count()).ShouldBe(0);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/api/status")]
    [InlineData("/_framework/blazor.web.js")]
    [InlineData("/_blazor/negotiate")]
    [InlineData("/_content/MudBlazor/MudBlazor.min.css")]
    public async Task The_status_page_is_not_served_where_keys_are(string path)
    {
        using var caller = _server.As("sae-alice");
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_server.Alice, path));
        request.Headers.Host = $"127.0.0.1:{_server.Page.Port}";
        var answer = await caller.SendAsync(request);
        answer.Status.ShouldBe(404);
        answer.Body.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_node_that_does_not_run_has_no_key()
    {
        await using var server = await BenchServer.StartAsync(null, _bob);
        using var caller = server.As("sae-alice");
        (await caller.GetAsync(server.Alice, StatusOfBob)).ShouldBeError(503);
        (await caller.GetAsync(server.Bob, StatusOfBob)).Status.ShouldBe(200);
    }

    private X509Certificate2? Stranger(string who)
    {
        var layout = _server.Layout;
        switch (who)
        {
            case "no certificate":
                return null;
            case "another authority":
                // Of the same name and with the same application, but made elsewhere.
                var other = new BenchLayout(_other.Path);
                BenchAuthority.Initialise(other);
                return Certificates.Load(other.ClientCertificate("sae-alice"), other.ClientKey("sae-alice"));
            case "signed by itself":
                return Certificates.SelfSigned("CN=sae-alice");
            case "expired":
                return Certificates.Sign(layout, "CN=sae-alice", fromDays: -0.03, untilDays: -0.01);
            case "not valid yet":
                return Certificates.Sign(layout, "CN=sae-alice", fromDays: 1, untilDays: 2);
            case "the node's":
                return Certificates.Load(layout.Bob.ServerCertificate, layout.Bob.ServerKey);
            case "the authority's own":
                return Certificates.Load(layout.AuthorityCertificate, layout.AuthorityKey);
            case "no purpose":
                return Certificates.Sign(layout, "CN=sae-alice", usage: null);
            case "a server's purpose":
                return Certificates.Sign(layout, "CN=sae-alice", Certificates.ServerAuthentication);
            case "signed by an application":
                return Certificates.SignedByApplication(layout, "sae-carol", "CN=sae-alice");
            default:
                throw new ArgumentOutOfRangeException(nameof(who), who, null);
        }
    }
}
