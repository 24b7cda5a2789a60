using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Qkd.Timing;
using Shouldly;

namespace Qkd.Node.Tests.Status;

public sealed class MultiClickTests
{
    private const long Clicks = 3_000_000;

    private readonly ManualTime _time = new();
    private readonly NodeMonitor _monitor;

    public MultiClickTests() => _monitor = Make.Monitor(_time);

    [Fact]
    public void A_block_with_half_as_many_again_is_an_alarm_with_both_shares()
    {
        Accept(1, 60_000, 60_000);
        Accept(2, 60_000, 60_000);
        Alarms().ShouldBeEmpty();
        Accept(3, 95_000, 95_000);
        var alarm = Alarms().ShouldHaveSingleItem();
        alarm.Detail.ShouldContain("block 3");
        alarm.Detail.ShouldContain("6.333 %");
        alarm.Detail.ShouldContain("4.000 %");
        alarm.KindName.ShouldBe("multi_click");
    }

    [Theory]
    [InlineData(100_000, 60_000)]
    [InlineData(60_000, 100_000)]
    public void Either_of_double_clicks_and_cross_clicks_may_rise_without_an_alarm_as_long_as_their_sum_does_not(long doubles, long crosses)
    {
        Accept(1, 60_000, 60_000);
        Accept(2, doubles, crosses);
        Alarms().ShouldBeEmpty();
    }

    [Fact]
    public void Double_clicks_alone_or_cross_clicks_alone_can_raise_it()
    {
        Accept(1, 60_000, 60_000);
        Accept(2, 130_000, 60_000);
        _time.Advance(10);
        Accept(3, 60_000, 130_000);
        Alarms().Count.ShouldBe(2);
    }

    [Fact]
    public void A_discarded_block_is_held_against_the_mean_and_never_becomes_part_of_it()
    {
        Accept(1, 60_000, 60_000);
        for (var block = 2; block < 6; block++)
        {
            _time.Advance(10);
            _monitor.BlockDiscarded(Block(block, 300_000, 300_000, Clicks), "error rate");
        }

        Alarms().Count.ShouldBe(4);
        Alarms()[0].Detail.ShouldContain("4.000 %");
    }

    [Fact]
    public void A_rise_that_goes_on_goes_on_being_an_alarm()
    {
        Accept(1, 60_000, 60_000);
        for (var block = 2; block < 12; block++)
        {
            _time.Advance(10);
            Accept(block, 120_000, 120_000);
        }

        Alarms().Count.ShouldBe(10);
    }

    [Fact]
    public void Of_few_clicks_chance_makes_half_as_many_again()
    {
        // 40 on the mean: five sigma of both counts are above the half.
        Accept(1, 20, 20, 1000);
        Accept(2, 40, 40, 1000);
        Alarms().ShouldBeEmpty();
        Accept(3, 60, 60, 1000);
        Alarms().ShouldHaveSingleItem();
    }

    [Fact]
    public void Longer_blocks_have_more_of_them_and_that_is_no_rise()
    {
        Accept(1, 60_000, 60_000);
        Accept(2, 600_000, 600_000, 10 * Clicks);
        Accept(3, 0, 0, 1000);
        Alarms().ShouldBeEmpty();
    }

    [Fact]
    public void Without_any_before_a_handful_is_none()
    {
        Accept(1, 0, 0);
        Accept(2, 3, 2);
        Alarms().ShouldBeEmpty();
        Accept(3, 20, 0);
        Alarms().ShouldHaveSingleItem();
    }

    [Fact]
    public void A_node_that_is_not_told_of_them_raises_nothing()
    {
        for (var block = 1; block < 4; block++)
        {
            _monitor.BlockAccepted(Make.Block(block, secretBits: 1000));
        }

        Alarms().ShouldBeEmpty();
    }

    [Fact]
    public void The_audit_log_keeps_what_the_gate_did()
    {
        using var folder = new TemporaryFolder();
        using (var audit = new AuditLog(folder["audit.jsonl"], _time))
        {
            var monitor = Make.Monitor(_time, audit);
            monitor.BlockAccepted(Block(1, 7, 11, 1000));
            monitor.BlockDiscarded(Block(2, 13, 17, 1000), "cut off");
        }

        var lines = File.ReadAllLines(folder["audit.jsonl"]);
        lines[0].ShouldContain("\"double_clicks\":7,\"cross_clicks\":11");
        lines[1].ShouldContain("\"double_clicks\":13,\"cross_clicks\":17");
    }

    private void Accept(long id, long doubles, long crosses, long clicks = Clicks) => _monitor.BlockAccepted(Block(id, doubles, crosses, clicks));

    private static BlockReport Block(long id, long doubles, long crosses, long clicks) =>
        Make.Block(id, secretBits: 1000) with { Gate = new GateCounts(clicks, 0, clicks / 10, doubles, crosses) };

    private IReadOnlyList<Alarm> Alarms() => [.. _monitor.Snapshot().Alarms.Where(alarm => alarm.Kind == AlarmKind.MultiClick)];
}
