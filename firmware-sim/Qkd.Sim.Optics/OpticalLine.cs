namespace Qkd.Sim.Optics;

/// <summary>
/// The light path from the transmitter's output to the clicks of four detectors: attenuator, eavesdropper, fibre, paddles, passive
/// receiver, detectors. Pure physics in bench time; it knows no instrument. Work grows with the clicks, not with the pulses, and the
/// same seed, symbols and settings give the same clicks however the slots are cut into stretches. One thread.
/// </summary>
/// <remarks>The model, with every formula, is in <c>docs/physics.md</c>.</remarks>
public sealed class OpticalLine
{
    /// <summary>Number of detectors: H, V, D, A.</summary>
    public const int DetectorCount = 4;

    /// <summary>Slots before a stretch whose symbols are kept: more than jitter can reach back over.</summary>
    private const int TailSlots = 256;

    private readonly double[] _paddleAngles = new double[3];
    private readonly long _period;
    private readonly long _delay;
    private readonly long _reach;
    private readonly FibreRotation _fibre;
    private readonly PulseTable _table;
    private readonly PulseSource _source;
    private readonly DetectorChannel[] _channels = new DetectorChannel[DetectorCount];
    private readonly ulong[] _tail = new ulong[TailSlots / Symbol.GroupSlots * Symbol.GroupWords];
    private int _tailWords;
    private long _nextSlot = -1;
    private long _tailEnd;
    private long _now = -1;
    private LineState? _tableState;

    /// <summary>Makes a line at bench time 0.</summary>
    /// <param name="settings">Settings; checked here.</param>
    /// <param name="seed">Seed of all noise, of the fibre's rotation and of its drift.</param>
    /// <exception cref="ArgumentException">A setting is out of range; the parameter name is its path.</exception>
    public OpticalLine(OpticsSettings settings, ulong seed)
    {
        settings.Validate();
        Settings = settings;
        Seed = seed;
        Truth = new GroundTruth(settings.Truth);
        PhotonsPerPulse = settings.Source.PhotonsPerPulse;
        DriftRadiansPerRootSecond = settings.Channel.DriftRadiansPerRootSecond;
        _period = settings.Source.SlotPeriodPicoseconds;
        _delay = settings.Channel.DelayPicoseconds;
        _fibre = new FibreRotation(settings.Channel, seed);
        _table = new PulseTable(settings);
        var jitter = JitterTables(settings.Detectors);
        _source = new PulseSource(seed, jitter);
        _reach = Math.Max(_period / 2, jitter.Max(table => table.Reach));
        for (var detector = 0; detector < DetectorCount; detector++)
        {
            var mayOverlap = 2 * jitter[detector].Reach >= _period;
            _channels[detector] = new(detector, settings.Detectors[detector], seed, mayOverlap);
        }
    }

    /// <summary>The settings given.</summary>
    public OpticsSettings Settings { get; }

    /// <summary>The seed given.</summary>
    public ulong Seed { get; }

    /// <summary>Attenuation between the transmitter and the fibre, in dB, 0 or more; taken up by the next stretch.</summary>
    public double AttenuatorDecibels { get; set; }

    /// <summary>Angles of the three paddles from input to output, in degrees; taken up by the next stretch.</summary>
    public Span<double> PaddleAngles => _paddleAngles;

    /// <summary>Mean photons a pulse at the transmitter's output by intensity index, one to four; taken up by the next stretch.</summary>
    public IReadOnlyList<double> PhotonsPerPulse { get; set; }

    /// <summary>Who listens; taken up by the next stretch.</summary>
    public EavesdropperSettings Eavesdropper { get; set; } = EavesdropperSettings.None;

    /// <summary>Whether the detectors are biased; without bias nothing clicks. Taken up by the next stretch.</summary>
    public bool DetectorsEnabled { get; set; } = true;

    /// <summary>Speed of the drift as in <see cref="ChannelSettings.DriftRadiansPerRootSecond"/>; 0 freezes it. Taken up by its next step.</summary>
    public double DriftRadiansPerRootSecond { get; set; }

    /// <summary>What really happened. Never read by a node.</summary>
    public GroundTruth Truth { get; }

    /// <summary>Time from emission to arrival, in picoseconds. A click's time is its slot's emission time plus this plus jitter.</summary>
    public long DelayPicoseconds => Settings.Channel.DelayPicoseconds;

    /// <summary>
    /// Sends one stretch of consecutive slots and appends the clicks that follow from it. The clicks lie one propagation delay after
    /// the emission.
    /// </summary>
    /// <param name="firstSlot">Number of the first slot, 0 or more.</param>
    /// <param name="slotCount">Slots, a multiple of 64.</param>
    /// <param name="packedSymbols">Groups of 64 slots, four words each: bits, bases (1 = X), low and high bit of the intensity index.</param>
    /// <param name="firstSlotPicoseconds">Bench time at which the first slot leaves the transmitter; not before the end of the last stretch.</param>
    /// <param name="clicks">Receives the clicks.</param>
    /// <exception cref="ArgumentException">The stretch is not whole groups, lies in the past, or a property is out of range.</exception>
    public void Propagate(long firstSlot, int slotCount, ReadOnlySpan<ulong> packedSymbols, long firstSlotPicoseconds, ClickBuffer clicks)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstSlot);
        if (slotCount < 0 || slotCount % Symbol.GroupSlots != 0 || firstSlot % Symbol.GroupSlots != 0)
        {
            throw new ArgumentException($"Slots {firstSlot} and the {slotCount - 1} after it are not whole groups of {Symbol.GroupSlots}.", nameof(slotCount));
        }

        if (Symbol.CountOf(packedSymbols) < slotCount)
        {
            throw new ArgumentException($"{packedSymbols.Length} words do not hold the symbols of {slotCount} slots.", nameof(packedSymbols));
        }

        if (slotCount == 0)
        {
            return;
        }

        using var truth = Truth.Enter();
        var symbols = packedSymbols[..(slotCount / Symbol.GroupSlots * Symbol.GroupWords)];
        var follows = firstSlot == _nextSlot && firstSlotPicoseconds == _now;
        MoveTo(firstSlotPicoseconds);
        if (!follows)
        {
            Settle(firstSlotPicoseconds + _delay - _reach, clicks, LookupTail());
            _source.BeginRun();
            foreach (var channel in _channels)
            {
                channel.BeginRun();
            }

            _tailWords = 0;
        }

        var end = firstSlotPicoseconds + (slotCount * _period);
        Truth.Emit(firstSlot, slotCount, firstSlotPicoseconds, end, !follows);
        UpdateTable();
        var lookup = Lookup(firstSlot, firstSlotPicoseconds, symbols);
        for (var done = 0; done < slotCount;)
        {
            var count = Math.Min(slotCount - done, SlotsToSegmentEnd(firstSlot + done));
            Truth.BeginSegment(firstSlot + done, symbols.Slice(done / Symbol.GroupSlots * Symbol.GroupWords, count / Symbol.GroupSlots * Symbol.GroupWords));
            PropagateSegment(lookup, done, done + count, clicks);
            Truth.EndSegment(newRun: !follows && done == 0);
            done += count;
        }

        KeepTail(symbols);
        _nextSlot = firstSlot + slotCount;
        _tailEnd = _now = end;
        clicks.CompleteBeforePicoseconds = end + _delay - _reach;
    }

    /// <summary>
    /// A stretch of bench time in which no light leaves the transmitter. Light under way still arrives; dark counts and afterpulses go on.
    /// </summary>
    /// <param name="fromPicoseconds">Begin at the transmitter; not before the end of the last stretch.</param>
    /// <param name="toPicoseconds">End at the transmitter.</param>
    /// <param name="clicks">Receives the clicks up to one propagation delay after <paramref name="toPicoseconds"/>.</param>
    /// <exception cref="ArgumentException">The stretch lies in the past or ends before it begins.</exception>
    public void PropagateDark(long fromPicoseconds, long toPicoseconds, ClickBuffer clicks)
    {
        if (toPicoseconds < fromPicoseconds)
        {
            throw new ArgumentException($"The stretch from {fromPicoseconds} ps to {toPicoseconds} ps ends before it begins.", nameof(toPicoseconds));
        }

        using var truth = Truth.Enter();
        MoveTo(fromPicoseconds);
        Drift(toPicoseconds);
        Settle(toPicoseconds + _delay - _reach, clicks, LookupTail());
        _now = toPicoseconds;
        clicks.CompleteBeforePicoseconds = toPicoseconds + _delay - _reach;
    }

    /// <summary>
    /// Mean photoelectrons that a pulse of the transmitter brings forth in a detector, with nobody listening, as the line stands now
    /// (drift up to the last stretch): the detector clicks with probability 1 - exp(-mean) if it is not dead.
    /// </summary>
    /// <param name="intensity">Intensity index, 0 to 3.</param>
    /// <param name="basis">0 = Z, 1 = X.</param>
    /// <param name="bit">0 or 1.</param>
    /// <param name="detector">0 to 3: H, V, D, A.</param>
    public double MeanPhotoelectrons(int intensity, int basis, int bit, int detector)
    {
        UpdateTable();
        return _table.Means[((bit | basis << 1 | intensity << 2) * DetectorCount) + detector];
    }

    /// <summary>Mean photons of the eavesdropper's pulses as they enter the fibre; 0 when nobody listens.</summary>
    public double EavesdropperPhotonsPerPulse
    {
        get
        {
            UpdateTable();
            return _table.Intercepting ? _table.ResentPhotons : 0;
        }
    }

    private static JitterTable[] JitterTables(IReadOnlyList<DetectorSettings> detectors)
    {
        var tables = new Dictionary<double, JitterTable>();
        foreach (var detector in detectors)
        {
            tables.TryAdd(detector.JitterPicoseconds, new JitterTable(detector.JitterPicoseconds));
        }

        return [.. detectors.Select(detector => tables[detector.JitterPicoseconds])];
    }

    /// <summary>Pieces within a block and a step of the drift, each settled before the next.</summary>
    private void PropagateSegment(in SlotLookup lookup, int from, int to, ClickBuffer clicks)
    {
        while (from < to)
        {
            var slot = lookup.FirstSlot + from;
            var arrival = lookup.FirstArrival + (from * _period);
            var emission = arrival - _delay;
            if (Drift(emission))
            {
                UpdateTable();
            }

            var toBlockEnd = PulseSource.BlockSlots - (int)(slot & (PulseSource.BlockSlots - 1));
            var toDriftStep = (_fibre.NextStepPicoseconds - emission + _period - 1) / _period;
            var count = (int)Math.Min(Math.Min(to - from, toBlockEnd), toDriftStep);
            _source.Draw(_table, slot, count, lookup.Symbols, from, arrival, _period);
            var horizon = arrival + (count * _period) - _reach;
            for (var detector = 0; detector < DetectorCount; detector++)
            {
                _channels[detector].Settle(_source.Candidates(detector), horizon, DetectorsEnabled, clicks, Truth, lookup);
            }

            from += count;
        }
    }

    /// <summary>Settles dark counts, afterpulses and light already under way.</summary>
    private void Settle(long horizon, ClickBuffer clicks, in SlotLookup lookup)
    {
        Truth.CloseSegment();
        Span<Candidate> none = stackalloc Candidate[1];
        foreach (var channel in _channels)
        {
            channel.Settle(none, horizon, DetectorsEnabled, clicks, Truth, lookup);
        }
    }

    /// <summary>Time goes on to here; the first call begins it.</summary>
    private void MoveTo(long picoseconds)
    {
        if (_now < 0)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(picoseconds);
            foreach (var channel in _channels)
            {
                channel.Start(picoseconds);
            }
        }
        else if (picoseconds < _now)
        {
            throw new ArgumentException($"The stretch begins at {picoseconds} ps, but time has come to {_now} ps already.", nameof(picoseconds));
        }

        Drift(picoseconds);
    }

    /// <summary>The fibre drifts up to here; says whether that has changed anything.</summary>
    private bool Drift(long picoseconds)
    {
        var changed = _fibre.Advance(picoseconds, DriftRadiansPerRootSecond);
        if (changed)
        {
            _tableState = null;
        }

        return changed;
    }

    private SlotLookup Lookup(long firstSlot, long firstSlotPicoseconds, ReadOnlySpan<ulong> symbols) => new()
    {
        FirstSlot = firstSlot,
        FirstArrival = firstSlotPicoseconds + _delay,
        Period = _period,
        Symbols = symbols,
        Tail = _tail.AsSpan(0, _tailWords),
    };

    /// <summary>The end of the last run, for what clicks after it.</summary>
    private SlotLookup LookupTail() => Lookup(_nextSlot, _tailEnd, []);

    private void KeepTail(ReadOnlySpan<ulong> symbols)
    {
        if (symbols.Length >= _tail.Length)
        {
            symbols[^_tail.Length..].CopyTo(_tail);
            _tailWords = _tail.Length;
            return;
        }

        var kept = Math.Min(_tailWords, _tail.Length - symbols.Length);
        _tail.AsSpan(_tailWords - kept, kept).CopyTo(_tail);
        symbols.CopyTo(_tail.AsSpan(kept));
        _tailWords = kept + symbols.Length;
    }

    private int SlotsToSegmentEnd(long slot)
    {
        var truth = Truth.Settings;
        var slotInFrame = (int)(slot % truth.FrameSlots);
        return (slotInFrame < truth.PilotSlots ? truth.PilotSlots : truth.FrameSlots) - slotInFrame;
    }

    /// <summary>Computes the table anew if anything that it depends on has changed.</summary>
    private void UpdateTable()
    {
        if (_tableState is { } state && state.Attenuator == AttenuatorDecibels && state.Eavesdropper == Eavesdropper
            && state.Paddles.AsSpan().SequenceEqual(_paddleAngles) && state.Photons.SequenceEqual(PhotonsPerPulse))
        {
            return;
        }

        Check.InRange(AttenuatorDecibels, 0, 1000, nameof(AttenuatorDecibels));
        Check.That(PhotonsPerPulse is { Count: >= 1 and <= 4 }, nameof(PhotonsPerPulse), "one to four intensities are needed");
        foreach (var photons in PhotonsPerPulse)
        {
            Check.InRange(photons, 0, 1e9, nameof(PhotonsPerPulse));
        }

        Check.InRange(Eavesdropper.Fraction, 0, 1, "Eavesdropper.Fraction");
        var retardances = Settings.Controller.RetardanceWaves;
        var paddles = Rotation.Retarder(retardances[2], _paddleAngles[2])
            * Rotation.Retarder(retardances[1], _paddleAngles[1])
            * Rotation.Retarder(retardances[0], _paddleAngles[0]);
        _table.Update(AttenuatorDecibels, PhotonsPerPulse, _fibre.Through(paddles), Eavesdropper);
        _tableState = new(AttenuatorDecibels, [.. _paddleAngles], [.. PhotonsPerPulse], Eavesdropper);
    }

    private sealed record LineState(double Attenuator, double[] Paddles, double[] Photons, EavesdropperSettings Eavesdropper);
}
