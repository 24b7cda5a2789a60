using System.Threading.Channels;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Drivers.Tests.Support;

/// <summary>Reads a detector's counts all the time, as a user would.</summary>
public sealed class CountsReader : IAsyncDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private readonly Channel<DetectorCounts> _records = Channel.CreateUnbounded<DetectorCounts>();
    private readonly List<DetectorCounts> _seen = [];
    private readonly Task _reading;

    private CountsReader(ISinglePhotonDetector detectors) => _reading = ReadAsync(detectors);

    /// <summary>The records taken so far.</summary>
    public IReadOnlyList<DetectorCounts> Records => _seen;

    /// <summary>Begins to read and waits for the first record.</summary>
    public static async Task<CountsReader> StartAsync(ISinglePhotonDetector detectors)
    {
        var reader = new CountsReader(detectors);
        await reader.NextAsync();
        return reader;
    }

    /// <summary>The next record.</summary>
    public async Task<DetectorCounts> NextAsync()
    {
        var record = await _records.Reader.ReadAsync(TestLimits.Token).WithinLimit();
        _seen.Add(record);
        return record;
    }

    /// <summary>Reads on until so many counts have come on each channel since the beginning, and finds that there are no more.</summary>
    public async Task UntilAsync(long[] expected)
    {
        while (!Sum().Zip(expected).All(pair => pair.First >= pair.Second))
        {
            await NextAsync();
        }

        await NextAsync();
        Sum().ShouldBe(expected);

        long[] Sum() => [.. Enumerable.Range(0, expected.Length).Select(channel => _seen.Sum(record => record.Counts[channel]))];
    }

    /// <summary>Waits for the end and returns what ended it.</summary>
    public async Task<Exception> EndAsync()
    {
        await ((Task)_reading).WaitAsync(TestLimits.Longest, TestLimits.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _reading.IsCompleted.ShouldBeTrue("the counts go on");
        return _reading.Exception?.InnerException ?? throw new ShouldAssertException("the counts ended without a word");
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await ((Task)_reading).WaitAsync(TestLimits.Longest).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _ending.Dispose();
    }

    private async Task ReadAsync(ISinglePhotonDetector detectors)
    {
        try
        {
            await foreach (var record in detectors.ReadCountsAsync(_ending.Token))
            {
                _records.Writer.TryWrite(record);
            }
        }
        catch (Exception end)
        {
            _records.Writer.TryComplete(end);
            throw;
        }

        _records.Writer.TryComplete();
    }
}
