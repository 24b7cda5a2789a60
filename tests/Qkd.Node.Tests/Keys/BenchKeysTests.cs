using Qkd.Keys;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Keys;

public sealed class BenchKeysTests : IDisposable
{
    private const string Real = "TCPIP0::10.0.0.5::5025::SOCKET";

    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _told = [];

    private string Data => _folder["data"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Only_a_node_whose_every_instrument_is_emulated_may_make_its_own_secrets()
    {
        BenchKeys.IsWhollyEmulated(Alice("sim:transmitter")).ShouldBeTrue();
        BenchKeys.IsWhollyEmulated(Alice("sim:transmitter", "SIM:attenuator")).ShouldBeTrue();
        BenchKeys.IsWhollyEmulated(Alice("sim:transmitter", Real)).ShouldBeFalse();
        BenchKeys.IsWhollyEmulated(Alice(Real)).ShouldBeFalse();
        BenchKeys.IsWhollyEmulated(Alice("ASRL/dev/sim:1::INSTR")).ShouldBeFalse();
        BenchKeys.IsWhollyEmulated(Alice()).ShouldBeFalse();
    }

    [Fact]
    public void One_emulated_instrument_at_either_end_marks_the_key_of_both()
    {
        BenchKeys.IsEmulated(Bench(Alice("sim:transmitter", "sim:attenuator"), Bob("sim:tagger"))).ShouldBeTrue();
        BenchKeys.IsEmulated(Bench(Alice(Real, "SIM:attenuator"), null)).ShouldBeTrue();
        BenchKeys.IsEmulated(Bench(Alice(Real), Bob(Real, Real, "sim:tagger"))).ShouldBeTrue();
        BenchKeys.IsEmulated(Bench(Alice(Real), Bob(Real, Real))).ShouldBeFalse();
        BenchKeys.IsEmulated(Bench(Alice("ASRL/dev/sim:1::INSTR"), null)).ShouldBeFalse();
        BenchKeys.IsEmulated(Bench(Alice(), null)).ShouldBeFalse();
    }

    [Fact]
    public void Folders_count_from_the_data_folder_unless_they_are_absolute()
    {
        var layout = BenchKeys.Layout(Bench(Alice("sim:a"), Bob("sim:b")));
        layout.Alice.Folder.ShouldBe(Path.Combine(Data, "alice"));
        layout.Bob.Folder.ShouldBe(Path.Combine(Data, "bob"));

        layout = BenchKeys.Layout(Bench(
            Alice("sim:a") with { Keys = new() { Folder = "left" } }, Bob("sim:b") with { Keys = new() { Folder = _folder["right"] } }));
        layout.Alice.Folder.ShouldBe(Path.Combine(Data, "left"));
        layout.Bob.Folder.ShouldBe(_folder["right"]);
    }

    [Fact]
    public void An_emulated_bench_gets_its_keys_when_it_first_starts_and_keeps_them()
    {
        var bench = Bench(Alice("sim:transmitter", "sim:attenuator"), Bob("sim:tagger"));
        BenchKeys.Ensure(bench, _told.Add);
        _told.ShouldContain(line => line.Contains(Data));
        var layout = BenchKeys.Layout(bench);
        foreach (var node in (NodeKeyFolder[])[layout.Alice, layout.Bob])
        {
            File.Exists(Path.Combine(node.AuthenticationFolder, AuthenticationPool.PreSharedName)).ShouldBeTrue();
            File.Exists(node.MasterKeyFile).ShouldBeTrue();
            File.Exists(node.ServerCertificate).ShouldBeTrue();
        }

        var before = Contents();
        _told.Clear();
        BenchKeys.Ensure(bench, _told.Add);
        _told.ShouldBeEmpty();
        Contents().ShouldBe(before);
    }

    [Fact]
    public void One_emulated_node_alone_gets_keys_that_the_other_finds()
    {
        BenchKeys.Ensure(Bench(Alice("sim:transmitter"), null), _told.Add);
        var before = Contents();
        BenchKeys.Ensure(Bench(null, Bob("sim:tagger")), _told.Add);
        Contents().ShouldBe(before);
    }

    [Theory]
    [InlineData(Real, "sim:tagger", "Alice")]
    [InlineData("sim:transmitter", Real, "Alice")]
    [InlineData(Real, Real, "Alice")]
    [InlineData(null, Real, "Bob")]
    [InlineData(Real, null, "Alice")]
    public void With_a_real_instrument_nothing_is_made_and_a_missing_key_is_named_with_its_setting(string? alice, string? bob, string named)
    {
        var bench = Bench(alice is null ? null : Alice("sim:other", alice), bob is null ? null : Bob("sim:other", bob));
        var problem = Should.Throw<ConfigurationException>(() => BenchKeys.Ensure(bench, _told.Add));
        problem.Path.ShouldBe($"Bench:{named}:Keys:Folder");
        problem.Message.ShouldContain(Path.Combine(Data, named.ToLowerInvariant(), AuthenticationPool.PreSharedName));
        problem.Message.ShouldContain("'qkd init'");
        _told.ShouldBeEmpty();
        Directory.Exists(Data).ShouldBeFalse();
    }

    [Fact]
    public void A_node_without_instruments_is_not_taken_for_an_emulated_one()
    {
        Should.Throw<ConfigurationException>(() => BenchKeys.Ensure(Bench(Alice(), Bob("sim:tagger")), _told.Add));
        Directory.Exists(Data).ShouldBeFalse();
    }

    [Fact]
    public void With_real_instruments_and_their_key_there_nothing_is_touched()
    {
        var bench = Bench(Alice(Real), Bob(Real));
        BenchKeys.Create(bench, _told.Add);
        var before = Contents();
        _told.Clear();
        BenchKeys.Ensure(bench, _told.Add);
        _told.ShouldBeEmpty();
        Contents().ShouldBe(before);
    }

    [Fact]
    public void Each_node_needs_only_its_own_key()
    {
        // Bob's folder was carried to Bob's machine.
        var bench = Bench(Alice(Real), Bob(Real));
        BenchKeys.Create(bench, _told.Add);
        Directory.Delete(BenchKeys.Layout(bench).Bob.Folder, recursive: true);
        BenchKeys.Ensure(Bench(Alice(Real), null), _told.Add);
        Should.Throw<ConfigurationException>(() => BenchKeys.Ensure(Bench(null, Bob(Real)), _told.Add)).Path.ShouldBe("Bench:Bob:Keys:Folder");
        Should.Throw<ConfigurationException>(() => BenchKeys.Ensure(bench, _told.Add)).Path.ShouldBe("Bench:Bob:Keys:Folder");
    }

    [Fact]
    public void Made_a_second_time_nothing_is_overwritten_and_that_is_said()
    {
        var bench = Bench(Alice(Real), Bob(Real));
        BenchKeys.Create(bench, _told.Add);
        _told.ShouldContain(line => line.StartsWith("Pre-shared key", StringComparison.Ordinal));
        var before = Contents();
        _told.Clear();
        BenchKeys.Create(bench, _told.Add);
        _told.ShouldHaveSingleItem().ShouldStartWith("Everything is there already");
        Contents().ShouldBe(before);
    }

    [Theory]
    [InlineData("alice")]
    [InlineData("bob")]
    public void Half_of_a_pre_shared_key_is_refused_and_the_other_half_is_kept(string lost)
    {
        var bench = Bench(Alice("sim:transmitter"), Bob("sim:tagger"));
        BenchKeys.Create(bench, _told.Add);
        File.Delete(Path.Combine(Data, lost, AuthenticationPool.PreSharedName));
        var before = Contents();
        Should.Throw<KeyStoreException>(() => BenchKeys.Create(bench, _told.Add)).Message.ShouldContain(AuthenticationPool.PreSharedName);
        Should.Throw<KeyStoreException>(() => BenchKeys.Ensure(bench, _told.Add));
        Contents().ShouldBe(before);
    }

    [Fact]
    public async Task Several_that_start_at_once_agree_on_what_the_first_has_made()
    {
        var bench = Bench(Alice("sim:transmitter"), Bob("sim:tagger"));
        using var together = new Barrier(4);
        var told = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    var lines = new List<string>();
                    together.SignalAndWait(TimeSpan.FromSeconds(30)).ShouldBeTrue();
                    BenchKeys.Ensure(bench, lines.Add);
                    return (Lines: lines, Found: Contents());
                },
                TestContext.Current.CancellationToken,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default)))
            .WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        // One of them made everything; each found, when it went on, what is there now.
        told.Count(call => call.Lines.Count > 0).ShouldBe(1);
        var now = Contents();
        foreach (var (_, found) in told)
        {
            found.ShouldBe(now);
        }
    }

    private BenchOptions Bench(AliceOptions? alice, BobOptions? bob) => new() { DataFolder = Data, Alice = alice, Bob = bob };

    private static AliceOptions Alice(params string[] addresses) => new() { Devices = Devices(addresses) };

    private static BobOptions Bob(params string[] addresses) => new() { Devices = Devices(addresses) };

    private static Dictionary<string, DeviceOptions> Devices(string[] addresses) =>
        addresses.Index().ToDictionary(entry => $"device{entry.Index}", entry => new DeviceOptions { Driver = "vendor.x", Address = entry.Item });

    /// <summary>All files but the lock, which carries nothing and is held while another call runs.</summary>
    private Dictionary<string, string> Contents() =>
        Directory.EnumerateFiles(Data, "*", SearchOption.AllDirectories)
            .Where(file => Path.GetExtension(file) != ".lock")
            .ToDictionary(file => file, file => Convert.ToHexString(File.ReadAllBytes(file)));
}
