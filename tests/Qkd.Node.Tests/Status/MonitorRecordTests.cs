using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Status;

/// <summary>What the monitor leaves out, what it keeps apart, and what it writes down.</summary>
public sealed class MonitorRecordTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();
    private readonly AuditLog _audit;
    private readonly NodeMonitor _monitor;

    public MonitorRecordTests()
    {
        _audit = new AuditLog(_folder["audit.jsonl"], _time);
        _monitor = Make.Monitor(_time, _audit);
    }

    private IReadOnlyList<Alarm> Alarms => _monitor.Snapshot().Alarms;

    public void Dispose()
    {
        _audit.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Discarded_blocks_have_been_sifted_and_give_no_secret_bits()
    {
        _monitor.EmissionStarted();
        _time.Advance(4);
        _monitor.BlockDiscarded(Make.Block(1), "too many errors");
        var status = _monitor.Snapshot();
        status.SiftedRateBps.ShouldBe(11000 / 4.0, 1e-9);
        status.SecretRateBps.ShouldBe(0);
        status.Totals.SiftedBits.ShouldBe(11000);
        status.FirstKeyAt.ShouldBeNull();
        _time.Advance(10.01);
        _monitor.Snapshot().SiftedRateBps.ShouldBe(0);
    }

    [Fact]
    public void The_last_block_is_the_last_one_accepted_or_discarded()
    {
        _monitor.BlockAccepted(Make.Block(1, secretBits: 1));
        _monitor.BlockDiscarded(Make.Block(2, measured: false), "cut off");
        _monitor.Snapshot().LastBlock!.BlockId.ShouldBe(2);
        _monitor.BlockAccepted(Make.Block(3, secretBits: 1));
        _monitor.Snapshot().LastBlock!.BlockId.ShouldBe(3);
    }

    [Fact]
    public void Blocks_that_were_cut_off_neither_count_as_without_key_nor_end_the_count()
    {
        for (var block = 0; block < 20; block++)
        {
            _monitor.BlockDiscarded(Make.Block(block, measured: false), "the session ended");
        }

        Alarms.ShouldBeEmpty();
        for (var block = 0; block < 5; block++)
        {
            Alarms.ShouldBeEmpty();
            _monitor.BlockDiscarded(Make.Block(block, measured: false), "the session ended");
            _monitor.BlockDiscarded(Make.Block(block), "the bound is zero");
        }

        var alarm = Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(AlarmKind.NoKey);
        alarm.Detail.ShouldContain("5 measured blocks");
        alarm.Detail.ShouldContain("the bound is zero");
    }

    [Fact]
    public void The_same_words_about_another_kind_are_another_alarm_and_the_newest_comes_first()
    {
        var kinds = Enum.GetValues<AlarmKind>();
        foreach (var kind in kinds)
        {
            _monitor.Alarm(kind, "the same words");
        }

        Alarms.Select(alarm => alarm.Kind).ShouldBe(kinds.Reverse());
    }

    [Fact]
    public void What_was_kept_quiet_is_neither_announced_nor_audited()
    {
        var told = 0;
        _monitor.Changed += () => told++;
        _monitor.Alarm(AlarmKind.Qber, "error rate 0.07");
        _time.Advance(4.99);
        _monitor.Alarm(AlarmKind.Qber, "error rate 0.08");
        told.ShouldBe(1);
        Audited("alarm").ShouldBe(1);
        _time.Advance(0.01);
        _monitor.Alarm(AlarmKind.Qber, "error rate 0.09");
        told.ShouldBe(2);
        Audited("alarm").ShouldBe(2);
    }

    [Fact]
    public void An_event_changes_the_health_of_its_own_instrument_only()
    {
        var detectors = Health("detectors");
        _monitor.DeviceChanged(Health("tagger"));
        _monitor.DeviceChanged(detectors);
        _time.Advance(1);
        _monitor.DeviceReported(new DeviceEvent("tagger", DeviceEventKind.Warning, "warm", _time.GetUtcNow()));
        var devices = _monitor.Snapshot().Devices.ToDictionary(device => device.Name);
        devices["tagger"].ShouldBe(Health("tagger") with { Kind = DeviceEventKind.Warning, Detail = "warm" });
        devices["detectors"].ShouldBe(detectors);

        // Opened again, it takes its old place.
        _monitor.DeviceChanged(Health("tagger"));
        _monitor.Snapshot().Devices.Count.ShouldBe(2);
    }

    [Fact]
    public void An_event_of_an_instrument_that_is_not_listed_is_an_alarm_all_the_same()
    {
        _monitor.DeviceReported(new DeviceEvent("laser", DeviceEventKind.Interlock, "door open", _time.GetUtcNow()));
        _monitor.Snapshot().Devices.ShouldBeEmpty();
        Alarms.ShouldHaveSingleItem().Detail.ShouldBe("laser: door open");
    }

    [Fact]
    public void The_pool_is_asked_when_the_picture_is_taken()
    {
        _monitor.Snapshot().Pool.Level.ShouldBe("EMPTY");
        var pool = new PoolFigures("READY", 1, 2, 3, 4, "");
        _monitor.Pool = () => pool;
        _monitor.Snapshot().Pool.ShouldBe(pool);
        pool = pool with { Level = "WARNING" };
        _monitor.Snapshot().Pool.Level.ShouldBe("WARNING");
    }

    private DeviceHealth Health(string name) =>
        new(name, "vendor." + name, "sim:" + name, new("Vendor", "M1", "42", ""), DeviceEventKind.Healthy, "open", _time.GetUtcNow());

    private int Audited(string what)
    {
        using var reader = new StreamReader(new FileStream(_folder["audit.jsonl"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd().Split('\n').Count(line => line.Contains($"\"what\":\"{what}\"", StringComparison.Ordinal));
    }
}
