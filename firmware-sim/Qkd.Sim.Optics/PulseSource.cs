using System.Runtime.CompilerServices;

namespace Qkd.Sim.Optics;

/// <summary>
/// Draws the candidates for clicks that come from light. Noise is keyed by the run, the block of 4096 slots and a count within it; a
/// candidate that lies beyond the end of a stretch waits for the next one, so cuts leave no trace.
/// </summary>
internal sealed class PulseSource(ulong seed, JitterTable[] jitter)
{
    /// <summary>Slots of a block, over which one stream of numbers is spent.</summary>
    public const int BlockSlots = 1 << BlockBits;

    private const int BlockBits = 12;

    /// <summary>Words of a stream set aside for a block; it needs fewer than 2^16.</summary>
    private const int WordBits = 20;

    /// <summary>Positions in a block are fixed-point numbers with this many bits after the point: exact however they are cut.</summary>
    private const int FractionBits = 32;

    /// <summary>Above this many candidates a slot it is quicker to ask every slot than to skip.</summary>
    private const double DenseRate = 2;

    /// <summary>
    /// Places a detector has in the scratch. Below <see cref="DenseRate"/> a block has 8192 candidates at most in the mean, and 16384 are 90
    /// standard deviations away.
    /// </summary>
    private const int Stride = 4 * BlockSlots;

    private readonly Candidate[] _scratch = new Candidate[(PulseTable.Dropped + 1) * Stride];
    private readonly int[] _counts = new int[PulseTable.Dropped + 1];
    private readonly ulong[][] _jitter = [.. jitter.Select(table => table.Entries), [0]];
    private ulong _run;
    private ulong _pulseKey;
    private ulong _eavesdropperKey;
    private long _block = -1;
    private CounterRandom _random;
    private double _rate;
    private long _position;

    /// <summary>Begins a run of slots: its noise is its own even where slot numbers come again.</summary>
    public void BeginRun()
    {
        _run++;
        _pulseKey = CounterRandom.Key(seed, Stream.Pulses, _run);
        _eavesdropperKey = CounterRandom.Key(seed, Stream.Eavesdropper, _run);
        _block = -1;
    }

    /// <summary>Draws the candidates of consecutive slots of one block under one table.</summary>
    /// <param name="table">What the pulses do.</param>
    /// <param name="firstSlot">First slot; follows on the last one of this run.</param>
    /// <param name="slotCount">Slots, within one block.</param>
    /// <param name="packedSymbols">Symbols of the stretch.</param>
    /// <param name="offset">Where in <paramref name="packedSymbols"/> the first slot is.</param>
    /// <param name="firstArrival">Nominal arrival of the first slot.</param>
    /// <param name="period">Slot period in picoseconds.</param>
    public void Draw(PulseTable table, long firstSlot, int slotCount, ReadOnlySpan<ulong> packedSymbols, int offset, long firstArrival, long period)
    {
        var local = (int)(firstSlot & (BlockSlots - 1));
        MoveTo(firstSlot >> BlockBits, local, table.Rate);
        Array.Clear(_counts);
        var pulses = new Pulses(packedSymbols, offset - local, firstSlot - local, firstArrival - (local * period), period);
        if (_rate >= DenseRate)
        {
            DrawDense(table, pulses, local, local + slotCount);
        }
        else
        {
            DrawSparse(table, pulses, (long)(local + slotCount) << FractionBits);
        }
    }

    /// <summary>The candidates of a detector from the last draw and the free place behind them.</summary>
    public Span<Candidate> Candidates(int detector) => _scratch.AsSpan(detector * Stride, _counts[detector] + 1);

    /// <summary>Prepares stream and position for slots from <paramref name="local"/> on.</summary>
    private void MoveTo(long block, int local, double rate)
    {
        var here = (long)local << FractionBits;
        if (block != _block)
        {
            _block = block;
            _random = CounterRandom.At(_pulseKey, (ulong)block << WordBits);
            _rate = rate;
            _position = here + Distance(rate);
        }
        else if (rate != _rate)
        {
            // The waiting time of a Poisson process has no memory: what is left of it is as good as new, at the new rate's scale.
            _position = _rate >= DenseRate ? here + Distance(rate) : here + (long)((_position - here) * (_rate / rate));
            _rate = rate;
        }
    }

    private long Distance(double rate) => (long)(Exponential.Next(ref _random) * ((1L << FractionBits) / rate));

    /// <summary>From candidate to candidate.</summary>
    private void DrawSparse(PulseTable table, in Pulses pulses, long end)
    {
        var random = _random;
        var position = _position;
        var scale = (1L << FractionBits) / _rate;
        var intercepting = table.Intercepting;
        var choices = table.Choices.Entries;
        var scratch = _scratch.AsSpan();
        var counts = _counts.AsSpan();
        var jitter = _jitter;
        while (position < end)
        {
            var local = (int)(position >> FractionBits);
            var symbol = Symbol.Read(pulses.Symbols, local + pulses.SymbolOffset);
            var kind = intercepting ? Intercept(table, pulses.FirstSlot + local, symbol) : symbol;
            var word = random.Next();
            var detector = ChoiceTable.Choose(choices, kind, (uint)(word >> 32));
            Put(pulses, scratch, counts, jitter[detector], detector, local, symbol, kind, (uint)word);
            position += (long)(Exponential.Next(ref random) * scale);
        }

        _random = random;
        _position = position;
    }

    /// <summary>Slot by slot, for bright light.</summary>
    private void DrawDense(PulseTable table, in Pulses pulses, int from, int to)
    {
        var random = _random;
        var thresholds = table.ClickThresholds;
        for (var local = from; local < to; local++)
        {
            var symbol = Symbol.Read(pulses.Symbols, local + pulses.SymbolOffset);
            var kind = table.Intercepting ? Intercept(table, pulses.FirstSlot + local, symbol) : symbol;
            for (var detector = 0; detector < OpticalLine.DetectorCount; detector++)
            {
                if (random.Next() < thresholds[(kind * OpticalLine.DetectorCount) + detector])
                {
                    Put(pulses, _scratch, _counts, _jitter[detector], detector, local, symbol, kind, (uint)random.Next());
                }
            }
        }

        _random = random;
    }

    /// <summary>What the eavesdropper makes of a pulse: the same whenever this slot is asked about.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int Intercept(PulseTable table, long slot, int symbol)
    {
        var word = CounterRandom.Word(_eavesdropperKey, (ulong)slot);
        var outcome = ChoiceTable.Choose(table.Interceptions.Entries, symbol, (uint)(word >> 32));
        return outcome == 0 ? symbol : outcome + PulseTable.ResentKinds - 1;
    }

    /// <summary>
    /// Writes a candidate to its detector. There is no branch: a candidate that is dropped is written too, to a place that nobody reads.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(in Pulses pulses, Span<Candidate> scratch, Span<int> counts, ulong[] jitter, int detector, int local, int symbol, int kind, uint random)
    {
        var time = pulses.FirstArrival + (local * pulses.Period) + JitterTable.Draw(jitter, random);
        var origin = (pulses.FirstSlot + local) << 8 | (long)(uint)((kind & 16) | symbol);
        scratch[(detector * Stride) + counts[detector]++] = new(time, origin);
    }

    /// <summary>A block's slots: where its slot 0 is in the symbols, its number and its nominal arrival.</summary>
    private readonly ref struct Pulses(ReadOnlySpan<ulong> symbols, int symbolOffset, long firstSlot, long firstArrival, long period)
    {
        public readonly ReadOnlySpan<ulong> Symbols = symbols;
        public readonly int SymbolOffset = symbolOffset;
        public readonly long FirstSlot = firstSlot;
        public readonly long FirstArrival = firstArrival;
        public readonly long Period = period;
    }
}
