using System.Text.Json;
using Qkd.Distillation;
using Qkd.Web.Tests.Support;

namespace Qkd.Web.Tests;

/// <summary>Keys over the wire from two real key managers: what is given, to whom, and how often.</summary>
public sealed class DeliveryTests : IAsyncLifetime
{
    private const string NotFound = "one or more keys specified are not found on KME";
    private const string AliceToBob = "/api/v1/keys/sae-bob/enc_keys";
    private const string BobFromAlice = "/api/v1/keys/sae-alice/dec_keys";

    private readonly TempFolder _folder = new();
    private KeyPair _keys = null!;
    private BenchServer _server = null!;
    private Caller _alice = null!;
    private Caller _bob = null!;
    private Caller _carol = null!;

    public async ValueTask InitializeAsync()
    {
        _keys = new KeyPair(_folder.Path);
        await _keys.MakeAsync();
        _server = await BenchServer.StartAsync(_keys.Alice, _keys.Bob);
        (_alice, _bob, _carol) = (_server.As("sae-alice"), _server.As("sae-bob"), _server.As("sae-carol"));
    }

    public async ValueTask DisposeAsync()
    {
        _alice.Dispose();
        _bob.Dispose();
        _carol.Dispose();
        await _server.DisposeAsync();
        _keys.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Status_has_every_member_of_the_standard_and_counts_what_is_there()
    {
        var status = (await _alice.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status")).Json;
        status.EnumerateObject().Select(member => member.Name).ShouldBe(
            [
                "source_KME_ID", "target_KME_ID", "master_SAE_ID", "slave_SAE_ID", "key_size", "stored_key_count", "max_key_count",
                "max_key_per_request", "max_key_size", "min_key_size", "max_SAE_ID_count", "status_extension",
            ],
            ignoreOrder: true);
        status.GetProperty("source_KME_ID").GetString().ShouldBe("kme-alice");
        status.GetProperty("target_KME_ID").GetString().ShouldBe("kme-bob");
        status.GetProperty("master_SAE_ID").GetString().ShouldBe("sae-alice");
        status.GetProperty("slave_SAE_ID").GetString().ShouldBe("sae-bob");
        status.GetProperty("key_size").GetInt32().ShouldBe(256);

        // Half of a block of 4096 bytes is this side's to draw from.
        var before = status.GetProperty("stored_key_count").GetInt64();
        before.ShouldBe(4096 / 2 / 32);
        (await _alice.GetAsync(_server.Alice, $"{AliceToBob}?number=3")).Keys().Count.ShouldBe(3);
        (await _alice.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status")).Json.GetProperty("stored_key_count").GetInt64().ShouldBe(before - 3);
    }

    [Fact]
    public async Task A_key_has_the_members_of_the_standard_and_says_what_it_is_fit_for()
    {
        var answer = await _alice.GetAsync(_server.Alice, AliceToBob);
        answer.MediaType.ShouldBe("application/json");
        answer.NoStore.ShouldBeTrue();
        answer.Only().Key.Length.ShouldBe(32);
        answer.Json.EnumerateObject().Select(member => member.Name).ShouldBe(["keys"]);
        var key = answer.Json.GetProperty("keys")[0];
        key.EnumerateObject().Select(member => member.Name).ShouldBe(["key_ID", "key", "key_extension"], ignoreOrder: true);
        key.GetProperty("key_extension").GetProperty("grade").GetString().ShouldBe("Attested");
        key.GetProperty("key_extension").GetProperty("emulated").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public async Task The_slave_gets_the_same_key_once()
    {
        var (id, key) = (await _alice.GetAsync(_server.Alice, AliceToBob)).Only();
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).Only().Key.ShouldBe(key);

        var again = await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}");
        again.ShouldBeError(400).ShouldBe(NotFound);
        again.Body.ShouldNotContain(Convert.ToBase64String(key));
    }

    [Fact]
    public async Task The_way_from_bob_to_alice_works_as_well()
    {
        var (id, key) = (await _bob.GetAsync(_server.Bob, "/api/v1/keys/sae-alice/enc_keys")).Only();
        (await _alice.GetAsync(_server.Alice, $"/api/v1/keys/sae-bob/dec_keys?key_ID={id}")).Only().Key.ShouldBe(key);
    }

    [Theory]
    [InlineData("", null, 1, 32)]
    [InlineData("?number=5", null, 5, 32)]
    [InlineData("?size=64", null, 1, 8)]
    [InlineData("?number=2&size=1024", null, 2, 128)]
    [InlineData("?number=2&colour=red", null, 2, 32)]
    [InlineData("", "", 1, 32)]
    [InlineData("", "{}", 1, 32)]
    [InlineData("", """{"number": 3}""", 3, 32)]
    [InlineData("", """{"size": 512}""", 1, 64)]
    [InlineData("", """{"number": 2, "size": 128, "extension_mandatory": [], "extension_optional": [{"colour": "red"}], "vendor": {"deep": [1]}}""", 2, 16)]
    [InlineData("", """ {"number":1,"additional_slave_SAE_IDs":[]} """, 1, 32)]
    public async Task Number_and_size_are_as_asked_by_get_and_by_post(string query, string? body, int number, int bytes)
    {
        var answer = body is null
            ? await _alice.GetAsync(_server.Alice, AliceToBob + query)
            : await _alice.PostAsync(_server.Alice, AliceToBob, body);
        var keys = answer.Keys();
        keys.Count.ShouldBe(number);
        keys.ShouldAllBe(key => key.Key.Length == bytes);
        keys.Select(key => key.Id).Distinct().Count().ShouldBe(number);
        keys.Select(key => Convert.ToHexString(key.Key)).Distinct().Count().ShouldBe(number);
    }

    [Theory]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData(null)]
    public async Task A_body_is_json_whatever_its_label(string? contentType) =>
        (await _alice.PostAsync(_server.Alice, AliceToBob, """{"number": 2}""", contentType)).Keys().Count.ShouldBe(2);

    [Fact]
    public async Task A_post_without_any_body_asks_for_the_defaults() =>
        (await _alice.PostAsync(_server.Alice, AliceToBob, (byte[]?)null)).Only().Key.Length.ShouldBe(32);

    [Theory]
    [InlineData("?size=100", null)]
    [InlineData("", """{"size": 100}""")]
    public async Task A_size_that_is_no_whole_number_of_bytes_is_refused_in_the_words_of_the_standard(string query, string? body)
    {
        var answer = body is null ? await _alice.GetAsync(_server.Alice, AliceToBob + query) : await _alice.PostAsync(_server.Alice, AliceToBob, body);
        answer.ShouldBeError(400).ShouldBe("size shall be a multiple of 8");
    }

    [Theory]
    [InlineData("?size=0")]
    [InlineData("?size=56")]
    [InlineData("?size=65544")]
    [InlineData("?number=0")]
    [InlineData("?number=129")]
    public async Task What_the_status_excludes_is_refused(string query) => (await _alice.GetAsync(_server.Alice, AliceToBob + query)).ShouldBeError(400);

    [Fact]
    public async Task Several_keys_are_fetched_by_post_in_the_order_asked_for()
    {
        var given = (await _alice.GetAsync(_server.Alice, $"{AliceToBob}?number=4")).Keys().Reverse().ToList();
        var taken = (await _bob.PostAsync(_server.Bob, BobFromAlice, Ids(given.Select(key => key.Id)))).Keys();
        taken.Select(key => key.Id).ShouldBe(given.Select(key => key.Id));
        taken.Select(key => Convert.ToHexString(key.Key)).ShouldBe(given.Select(key => Convert.ToHexString(key.Key)));
    }

    [Fact]
    public async Task All_or_none_of_the_keys_are_fetched()
    {
        var (id, key) = (await _alice.GetAsync(_server.Alice, AliceToBob)).Only();
        (await _bob.PostAsync(_server.Bob, BobFromAlice, Ids([id, Guid.NewGuid()]))).ShouldBeError(400).ShouldBe(NotFound);
        (await _bob.PostAsync(_server.Bob, BobFromAlice, Ids([id]))).Only().Key.ShouldBe(key);
    }

    [Fact]
    public async Task Only_the_slave_that_the_key_was_reserved_for_gets_it()
    {
        var (id, key) = (await _alice.GetAsync(_server.Alice, AliceToBob)).Only();
        (await _carol.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(401);
        (await _alice.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(401);
        (await _bob.GetAsync(_server.Bob, $"/api/v1/keys/sae-carol/dec_keys?key_ID={id}")).ShouldBeError(400).ShouldBe(NotFound);

        // Nor does the node that gave it to the master give it to anybody else.
        (await _bob.GetAsync(_server.Alice, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(400).ShouldBe(NotFound);
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).Only().Key.ShouldBe(key);
    }

    [Fact]
    public async Task Additional_slaves_get_the_key_once_each()
    {
        var (id, key) = (await _alice.PostAsync(_server.Alice, AliceToBob, """{"additional_slave_SAE_IDs": ["sae-carol"]}""")).Only();
        (await _carol.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).Only().Key.ShouldBe(key);
        (await _carol.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(400);
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).Only().Key.ShouldBe(key);
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(400);
    }

    [Fact]
    public async Task Two_applications_that_draw_side_by_side_on_both_sides_never_get_the_same_bits()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => (i % 3) switch
        {
            0 => _alice.GetAsync(_server.Alice, AliceToBob),
            1 => _carol.GetAsync(_server.Alice, AliceToBob),
            _ => _bob.GetAsync(_server.Bob, "/api/v1/keys/sae-alice/enc_keys"),
        }));
        var keys = answers.Select(answer => answer.Only()).ToList();
        keys.Select(key => key.Id).Distinct().Count().ShouldBe(24);
        keys.Select(key => Convert.ToHexString(key.Key)).Distinct().Count().ShouldBe(24);
    }

    [Fact]
    public async Task One_of_many_requests_for_the_same_id_at_the_same_time_gets_the_key()
    {
        var (id, key) = (await _alice.GetAsync(_server.Alice, AliceToBob)).Only();
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")));
        answers.Where(answer => answer.Status == 200).ShouldHaveSingleItem().Only().Key.ShouldBe(key);
        answers.Where(answer => answer.Status != 200).ShouldAllBe(answer => answer.Status == 400);
    }

    [Fact]
    public async Task An_empty_pool_is_said_and_none_of_the_keys_is_given()
    {
        var stored = (await _alice.GetAsync(_server.Alice, "/api/v1/keys/sae-bob/status")).Json.GetProperty("stored_key_count").GetInt32();
        (await _alice.GetAsync(_server.Alice, $"{AliceToBob}?number={stored + 1}")).ShouldBeError(503);
        (await _alice.GetAsync(_server.Alice, $"{AliceToBob}?number={stored}")).Keys().Count.ShouldBe(stored);
        (await _alice.GetAsync(_server.Alice, AliceToBob)).ShouldBeError(503);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Laboratory_key_is_delivered_only_where_the_configuration_says_so(bool allowed)
    {
        using var keys = new KeyPair(_folder["laboratory"], deliverLaboratoryKey: allowed);
        await keys.MakeAsync(grade: KeyGrade.Laboratory);
        await using var server = await BenchServer.StartAsync(keys.Alice, keys.Bob);
        using var alice = server.As("sae-alice");
        var answer = await alice.GetAsync(server.Alice, AliceToBob);
        if (allowed)
        {
            answer.Only().Key.Length.ShouldBe(32);
            answer.Json.GetProperty("keys")[0].GetProperty("key_extension").GetProperty("grade").GetString().ShouldBe("Laboratory");
        }
        else
        {
            answer.ShouldBeError(503).ShouldContain("Laboratory");
            (await alice.GetAsync(server.Alice, "/api/v1/keys/sae-bob/status")).Json.GetProperty("stored_key_count").GetInt32().ShouldBe(0);
        }
    }

    [Fact]
    public async Task No_key_is_ever_logged()
    {
        var (id, key) = (await _alice.GetAsync(_server.Alice, AliceToBob)).Only();
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).Only();
        (await _bob.GetAsync(_server.Bob, $"{BobFromAlice}?key_ID={id}")).ShouldBeError(400);
        _server.Logged.Lines.ShouldContain(line => line.Contains(NotFound, StringComparison.Ordinal));
        _server.Logged.Lines.ShouldNotContain(line => line.Contains(Convert.ToBase64String(key), StringComparison.Ordinal));
        _server.Logged.Lines.ShouldNotContain(line => line.Contains(Convert.ToHexString(key), StringComparison.OrdinalIgnoreCase));
    }

    private static string Ids(IEnumerable<Guid> ids) => JsonSerializer.Serialize(new
    {
        key_IDs = ids.Select(id => new { key_ID = id, key_ID_extension = new { } }),
        key_IDs_extension = new { },
    });
}
