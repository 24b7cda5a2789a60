using BenchmarkDotNet.Attributes;
using Qkd.Timing;
using Qkd.Timing.Clocks;
using Qkd.Timing.Correlation;
using Qkd.Timing.Formats;
using Qkd.Timing.Gating;

namespace Qkd.Benchmarks;

/// <summary>The tag engine, in time a record or a tag: decoding, gating, coincidences.</summary>
public class TimingBenchmarks
{
    private const int Count = 1 << 20;
    private const long Wrap = 33_554_432;

    private readonly uint[] _records = new uint[Count];
    private readonly TagBuffer _buffer = new();
    private readonly int[] _slots = new int[TagBuffer.DefaultCapacity];
    private readonly byte[] _marks = new byte[TagBuffer.DefaultCapacity];
    private readonly SlotGate _gate = new([new(1, 0, 2000), new(2, 120, 2000), new(3, -80, 1500), new(4, 40, 2500)]);
    private readonly PicoQuantLayout _layout = PicoQuantLayout.Of((long)PicoQuantRecordType.HydraHarpV2T2)!;
    private long[] _first = [];
    private long[] _second = [];

    /// <summary>Clicks a second: the slower they come, the more of the records are overflows.</summary>
    [Params(1e5, 1e6, 1e7)]
    public double Hertz { get; set; }

    /// <summary>Draws records, and two channels of which one tag in ten has a partner.</summary>
    [GlobalSetup]
    public void Draw()
    {
        var random = new Random(1);
        double time = 0;
        long wraps = 0;
        for (var i = 0; i < Count;)
        {
            time -= 1e12 / Hertz * Math.Log(1 - random.NextDouble());
            for (; (long)time / Wrap > wraps && i < Count; wraps++)
            {
                _records[i++] = 0xFE00_0001;
            }

            if (i < Count)
            {
                _records[i++] = (uint)random.Next(4) << 25 | (uint)((long)time % Wrap);
            }
        }

        _first = [.. Enumerable.Range(0, Count / 2).Select(_ => random.NextInt64((long)(Count / 2 / Hertz * 1e12))).Order()];
        _second = [.. _first.Select((t, i) => i % 10 == 0 ? t + random.Next(-100, 100) : random.NextInt64((long)(Count / 2 / Hertz * 1e12))).Order()];
    }

    /// <summary>PTU T2 records from memory.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public long Decode() => DecodeAnd(static (_, _) => { });

    /// <summary>The same, each tag given its slot, gated, and counted in a histogram.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public long DecodeAndGate() => DecodeAnd(static (own, buffer) =>
        own._gate.Place(buffer.Times, buffer.Channels, 1, new SlotClock(0, 0, 0.2, 1 / 10_000.2, 0), own._slots, own._marks));

    /// <summary>Coincidences of two channels, 1 ns.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public long CountCoincidences() => Coincidences.Count(_first, _second, 500);

    private long DecodeAnd(Action<TimingBenchmarks, TagBuffer> with)
    {
        var decoder = new PicoQuantDecoder(_layout);
        long tags = 0;
        for (var rest = _records.AsSpan(); rest.Length > 0;)
        {
            _buffer.Count = 0;
            rest = rest[decoder.Decode(rest, _buffer, out _)..];
            if (_buffer.Count > 0)
            {
                with(this, _buffer);
            }

            tags += _buffer.Count;
        }

        return tags;
    }
}
