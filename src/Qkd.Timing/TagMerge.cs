using System.Security.Cryptography;
using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>Merges the detectors' runs of a batch into one stream on one continuous time, delays taken off.</summary>
internal sealed class TagMerge
{
    private readonly Dictionary<int, ReceiverDetector> _detectors = [];
    private long[] _times = [];
    private byte[] _of = [];
    private int _count;

    public TagMerge(IReadOnlyList<ReceiverDetector> detectors)
    {
        foreach (var detector in detectors)
        {
            _detectors[detector.Channel] = detector;
        }
    }

    /// <summary>Times in picoseconds, ascending.</summary>
    public ReadOnlySpan<long> Times => _times.AsSpan(0, _count);

    /// <summary>The detector of each: its place among the four.</summary>
    public ReadOnlySpan<byte> Detectors => _of.AsSpan(0, _count);

    /// <summary>Erases which detector clicked when: these are raw bits.</summary>
    public void Erase()
    {
        CryptographicOperations.ZeroMemory(_of.AsSpan(0, _count));
        _count = 0;
    }

    /// <summary>Merges; false if the times do not ascend or come before the last ones.</summary>
    public bool Merge(TagBatch batch, long last)
    {
        _count = 0;
        var runs = batch.Runs.Where(run => run.Count > 0 && _detectors.ContainsKey(run.Channel)).ToArray();
        var total = runs.Sum(run => run.Count);
        if (_times.Length < total)
        {
            (_times, _of) = (new long[total], GC.AllocateArray<byte>(total, pinned: true));
        }

        Span<int> next = stackalloc int[runs.Length];
        next.Clear();
        Span<long> shift = stackalloc long[runs.Length];
        for (var r = 0; r < runs.Length; r++)
        {
            shift[r] = batch.AcquisitionStartPicoseconds - (long)Math.Round(_detectors[runs[r].Channel].DelayPicoseconds);
        }

        while (_count < total)
        {
            var (best, time) = (-1, long.MaxValue);
            for (var r = 0; r < runs.Length; r++)
            {
                if (next[r] < runs[r].Count && runs[r].TimesPicoseconds.Span[next[r]] + shift[r] is var candidate && candidate < time)
                {
                    (best, time) = (r, candidate);
                }
            }

            // A few nanoseconds back are a matter of delays; more is another time.
            if (best < 0 || time < last - 1_000_000)
            {
                _count = 0;
                return false;
            }

            last = Math.Max(last, time);
            (_times[_count], _of[_count]) = (last, (byte)_detectors[runs[best].Channel].Index);
            _count++;
            next[best]++;
        }

        return true;
    }
}
