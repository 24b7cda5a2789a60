using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Qkd.Devices;
using Qkd.Timing.Gating;

namespace Qkd.Timing;

/// <summary>
/// Turns a map of clicks into the detections of emission frames: veto, multi-clicks, pilot. Frames come out in order, each once, when the
/// map has passed their end.
/// </summary>
/// <remarks>
/// The veto is decided in slots. A click d slots after another lies at least d periods less one gate width after it, so every slot up to
/// floor((dead time + gate width) / period) after a click is vetoed, for all detectors alike; and clicks that are themselves vetoed, or lie outside
/// the gate, make their detector dead as well.
/// <para>
/// What runs for each slot or click is compiled for speed at once (as in <see cref="SlotMap"/>): a few long calls a second are too few for the runtime to
/// notice in the first ten seconds, in which a reader that cannot keep up has the tagger wait.
/// </para>
/// </remarks>
internal sealed class FrameAssembler
{
    // What a slot's detectors mean: detector number for a single click; flags for the rest.
    private const byte DoubleZ = 16;
    private const byte DoubleX = 17;
    private const byte Cross = 18;
    private const byte Nothing = 19;
    private const byte MultiClick = 4;

    private static readonly byte[] Meaning = MakeMeaning();

    private readonly TagReceiverSettings _settings;
    private readonly PilotTable _pilots;
    private readonly RandomBits _random;
    private readonly int _deadSlots;
    private readonly OutcomePool _pool = new();
    private int[] _slots = new int[1024];
    private byte[] _outcomes;
    private int _count;
    private int _lost;
    private GateCounts _gate;
    private long _frame = -1;
    private long _lastClick = long.MinValue / 2;

    public FrameAssembler(TagReceiverSettings settings, PilotTable pilots, ISecretRandomness random)
    {
        _settings = settings;
        _pilots = pilots;
        _random = new RandomBits(random);
        _outcomes = _pool.Rent(1024);
        _deadSlots = (int)Math.Floor((settings.DeadTimePicoseconds + settings.WidestGatePicoseconds) / settings.SlotPeriodPicoseconds);
    }

    /// <summary>How often each detector clicks again soon after a click, within its gate.</summary>
    public AfterpulseStatistics Afterpulses { get; } = new(4);

    /// <summary>The next slot that has not been looked at; -1 before the first.</summary>
    public long NextSlot { get; private set; } = -1;

    /// <summary>Forgets an unfinished frame, and erases it.</summary>
    public void Reset()
    {
        CryptographicOperations.ZeroMemory(_outcomes.AsSpan(0, _count));
        (_frame, _count, _lost, _gate, NextSlot) = (-1, 0, 0, default, -1);
        _lastClick = long.MinValue / 2;
        Afterpulses.Interrupt();
    }

    /// <summary>Declares everything up to a slot lost that has not been looked at.</summary>
    /// <remarks>A click in the last of them would have gone unseen and left one detector dead: the veto treats it as if there had been one.</remarks>
    public void Lose(long upToSlot, List<DetectionFrame> finished)
    {
        if (upToSlot > NextSlot && upToSlot > 0)
        {
            _lastClick = upToSlot - 1;
            Afterpulses.Interrupt();
        }

        if (NextSlot < 0)
        {
            NextSlot = Math.Max(0, upToSlot);
            return;
        }

        while (NextSlot < upToSlot)
        {
            Enter(NextSlot, finished);
            var end = Math.Min(upToSlot, (_frame + 1) * _settings.FrameSlots);
            _lost += (int)(end - NextSlot);
            NextSlot = end;
        }
    }

    /// <summary>Takes the slots of a map from <paramref name="from"/> to <paramref name="to"/>; what is missing before them is lost.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Take(SlotMap map, long from, long to, List<DetectionFrame> finished)
    {
        from = Math.Max(Math.Max(from, 0), NextSlot);
        if (to <= from)
        {
            return;
        }

        Lose(from, finished);
        var slots = map.Slots;
        var end = (int)(to - map.FirstSlot);
        for (var at = map.Next((int)(from - map.FirstSlot)); at < end; at = map.Next(at + 1))
        {
            var slot = map.FirstSlot + at;
            Enter(slot, finished);
            Click(slot, slots[at]);
        }

        // The last slot of the stretch may begin a new frame without a click in it.
        Enter(to - 1, finished);
        NextSlot = to;
        if (to % _settings.FrameSlots == 0)
        {
            Finish(finished);
            _frame = -1;
        }
    }

    private static byte[] MakeMeaning()
    {
        var meaning = new byte[16];
        for (var bits = 0; bits < 16; bits++)
        {
            var (z, x) = (bits & 3, bits >> 2);
            meaning[bits] = (z, x) switch
            {
                (0, 0) => Nothing,
                (1, 0) => 0,
                (2, 0) => 1,
                (0, 1) => 2,
                (0, 2) => 3,
                (3, 0) => DoubleZ,
                (0, 3) => DoubleX,
                _ => Cross,
            };
        }

        return meaning;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Enter(long slot, List<DetectionFrame> finished)
    {
        var frame = slot / _settings.FrameSlots;
        if (frame == _frame)
        {
            return;
        }

        if (_frame < 0)
        {
            // A receiver that starts in the middle of a frame has not seen its head.
            _frame = NextSlot / _settings.FrameSlots;
            _lost = (int)(NextSlot % _settings.FrameSlots);
        }

        for (; _frame < frame; _frame++)
        {
            Finish(finished);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Click(long slot, byte seen)
    {
        var dead = slot - _lastClick <= _deadSlots;
        _lastClick = slot;
        Afterpulses.Add(slot, seen & 15);
        var clicks = System.Numerics.BitOperations.PopCount((uint)(seen & 15));
        var outside = seen >> 4 & 1;
        _gate = _gate with { Clicks = _gate.Clicks + clicks + outside, OutsideGate = _gate.OutsideGate + outside };
        if (dead)
        {
            _gate = _gate with { Vetoed = _gate.Vetoed + 1 };
            return;
        }

        var meaning = Meaning[seen & 15];
        switch (meaning)
        {
            case Nothing:
                return;
            case Cross:
                _gate = _gate with { CrossClicks = _gate.CrossClicks + 1 };
                return;
            case DoubleZ or DoubleX:
                _gate = _gate with { DoubleClicks = _gate.DoubleClicks + 1 };
                meaning = (byte)((meaning == DoubleX ? 2 : 0) | MultiClick | _random.Next());
                break;
        }

        if (_count == _slots.Length || _count == _outcomes.Length)
        {
            Array.Resize(ref _slots, Math.Max(_slots.Length, 2 * _count));
            Grow(2 * _count);
        }

        _slots[_count] = (int)(slot - (_frame * _settings.FrameSlots));
        _outcomes[_count++] = meaning;
    }

    private void Grow(int length)
    {
        var larger = _pool.Rent(length);
        _outcomes.AsSpan(0, _count).CopyTo(larger);
        _pool.Return(_outcomes, _count);
        _outcomes = larger;
    }

    private void Finish(List<DetectionFrame> finished)
    {
        var frame = new DetectionFrame
        {
            Frame = _frame,
            Slots = _slots.AsMemory(0, _count).ToArray(),
            Outcomes = _outcomes.AsMemory(0, _count),
            LostSlots = _lost,
            Gate = _gate,
            Pilot = CountPilot(),
        };

        // The array goes with the frame, which erases it: the bits are never copied.
        frame.Own(_pool, _outcomes);
        finished.Add(frame);
        _outcomes = _pool.Rent(_slots.Length);
        (_count, _lost, _gate) = (0, 0, default);
    }

    private PilotStatistics CountPilot()
    {
        var packed = _pilots.Of(_frame);
        var clicks = new long[16];
        long vacuum = 0, signalSlots = 0;
        for (var group = 0; group < packed.Length; group += PackedSymbols.WordsPerGroup)
        {
            signalSlots += System.Numerics.BitOperations.PopCount(~(packed[group + 2] | packed[group + 3]));
        }

        for (var i = 0; i < _count && _slots[i] < _settings.PilotSlots; i++)
        {
            if (!PilotTable.IsSignal(packed, _slots[i]))
            {
                vacuum++;
            }
            else if ((_outcomes[i] & MultiClick) == 0)
            {
                var symbol = PackedSymbols.Read(packed, _slots[i]);
                clicks[(4 * ((2 * (int)symbol.Basis) + symbol.Bit)) + _outcomes[i]]++;
            }
        }

        return new PilotStatistics(clicks, vacuum, signalSlots, _settings.PilotSlots - signalSlots);
    }

    /// <summary>Secret random bits, fetched a kilobyte at a time and erased as they are used.</summary>
    private sealed class RandomBits(ISecretRandomness source)
    {
        private readonly byte[] _bytes = GC.AllocateArray<byte>(1024, pinned: true);
        private int _next = 8 * 1024;

        public int Next()
        {
            if (_next == 8 * _bytes.Length)
            {
                source.Fill(_bytes);
                _next = 0;
            }

            var bit = _bytes[_next >> 3] >> (_next & 7) & 1;
            _bytes[_next >> 3] &= (byte)~(1 << (_next & 7));
            _next++;
            return bit;
        }
    }
}
