using System.Collections.Concurrent;
using System.Globalization;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.SingleQuantum;

/// <summary>The counts connection: lines that are cut, joined, wrong or missing.</summary>
public sealed class WebSqCountsTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    public async Task Lines_may_be_cut_and_joined_anywhere(int chunk)
    {
        await using var peer = new WebSqPeer(chunk: chunk);
        await using var detectors = await peer.OpenAsync();
        await using var reader = await StartAsync(peer, detectors);
        await peer.CountAsync("1.1,10,20\n1.2,30,40\r\n1.3,50,");
        await peer.CountAsync("60\n");
        foreach (var expected in new long[][] { [10, 20], [30, 40], [50, 60] })
        {
            var record = await reader.NextAsync();
            record.Counts.ShouldBe(expected);
            record.Period.ShouldBe(TimeSpan.FromMilliseconds(100));
        }
    }

    [Fact]
    public async Task A_line_that_is_no_record_is_told_and_the_next_one_counts()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = detectors.Events.Subscribe(events.Enqueue);
        await using var reader = await StartAsync(peer, detectors);
        await peer.CountAsync("1.1,10\n\u0001\u0002\n\n1.2,30,40\n");
        (await reader.NextAsync()).Counts.ShouldBe([30, 40]);
        events.Select(happened => happened.Kind).ShouldBe([DeviceEventKind.Warning, DeviceEventKind.Warning]);
        events.First().Detail.ShouldContain("'1.1,10'");
    }

    [Fact]
    public async Task Counts_that_stop_end_in_a_time_out()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync(("CountsTimeoutSeconds", "0.2"));
        await using var counts = detectors.ReadCountsAsync(TestLimits.Token).GetAsyncEnumerator(TestLimits.Token);
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await counts.MoveNextAsync().WithinLimit());
        error.Device.ShouldBe("detectors");
        error.Message.ShouldContain("counts");
    }

    [Fact]
    public async Task Old_counts_are_no_count_rates()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync(("CountsTimeoutSeconds", "0.2"));
        await peer.CountAsync("1,5,6\n");
        (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).CountRatesHertz.ShouldBe([50, 60]);
        await TestLimits.UntilAsync(async () =>
        {
            try
            {
                await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit();
                return false;
            }
            catch (DeviceTimeoutException)
            {
                return true;
            }
        });
    }

    [Fact]
    public async Task A_counts_connection_that_is_cut_is_told_once_and_the_bias_can_still_be_taken_away()
    {
        await using var peer = new WebSqPeer();
        var detectors = await peer.OpenAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = detectors.Events.Subscribe(events.Enqueue);
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        await using var reader = await StartAsync(peer, detectors);

        await peer.HangUpCountsAsync();

        (await reader.EndAsync()).ShouldBeOfType<DeviceDisconnectedException>().Device.ShouldBe("detectors");
        await TestLimits.UntilAsync(() => !events.IsEmpty);
        events.Single().Kind.ShouldBe(DeviceEventKind.Disconnected);
        events.Single().Detail.ShouldContain("counts");
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceDisconnectedException>(async () =>
        {
            await foreach (var _ in detectors.ReadCountsAsync(TestLimits.Token))
            {
            }
        });

        await detectors.SetEnabledAsync(false, TestLimits.Token).WithinLimit();
        peer.Received[^1].ShouldBe("""{"command":"DetectorEnable","value":false}""");
        await detectors.DisposeAsync().AsTask().WithinLimit();
        peer.Received[^1].ShouldBe("""{"command":"SetAllBiasCurrents","label":"BiasCurrent","value":[0,0]}""");
        events.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_slow_reader_loses_old_records_and_never_new_ones()
    {
        const int lines = WebSqCounts.RecordsKept + 50;
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await using var slow = detectors.ReadCountsAsync(TestLimits.Token).GetAsyncEnumerator(TestLimits.Token);
        await FirstAsync(peer, slow);

        await using var quick = await StartAsync(peer, detectors);
        foreach (var some in Enumerable.Range(1, lines).Chunk(50))
        {
            await peer.CountAsync(string.Concat(some.Select(line => string.Create(CultureInfo.InvariantCulture, $"{line},{line},0\n"))));
            while ((await quick.NextAsync()).Counts[0] != some[^1])
            {
            }
        }

        quick.Records.Select(record => record.Counts[0]).TakeLast(lines).ShouldBe(Enumerable.Range(1, lines).Select(line => (long)line));
        for (var line = lines - WebSqCounts.RecordsKept + 1; line <= lines; line++)
        {
            (await slow.MoveNextAsync().WithinLimit()).ShouldBeTrue();
            slow.Current.Counts[0].ShouldBe(line);
        }
    }

    /// <summary>A reader gets what comes after it has begun.</summary>
    private static async Task<CountsReader> StartAsync(WebSqPeer peer, WebSqDetectors detectors)
    {
        var starting = CountsReader.StartAsync(detectors);
        await peer.CountAsync("0,0,0\n");
        return await starting;
    }

    private static async Task FirstAsync(WebSqPeer peer, IAsyncEnumerator<DetectorCounts> counts)
    {
        var first = counts.MoveNextAsync();
        await peer.CountAsync("0,0,0\n");
        (await first.WithinLimit()).ShouldBeTrue();
    }
}
