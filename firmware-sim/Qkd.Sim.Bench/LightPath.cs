using Microsoft.Extensions.Logging;
using Qkd.Sim.Firmware.ReferenceTransmitter;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>What held the light up.</summary>
internal enum StepResult
{
    /// <summary>Nothing: bench time went on.</summary>
    Moved,

    /// <summary>Bench time has got as far as it may for now.</summary>
    UpToDate,

    /// <summary>The transmitter runs, but its host has not sent the symbols that come next.</summary>
    ShortOfSymbols,

    /// <summary>The tagger's host does not take the tags.</summary>
    Backlogged,
}

/// <summary>
/// Joins instruments and optics: takes the slots that leave the transmitter, sends them through the line as attenuator, paddles and detectors
/// stand at that time, and gives clicks and markers to the tagger and counts to the detectors' driver. Moves bench time. One thread, but for
/// what is said to be otherwise.
/// </summary>
/// <remarks>
/// Bench time is the time at the transmitter. What leaves it is with the tagger at once, stamped with the time of its arrival: the tagger is
/// ahead of bench time by the light's way through the fibre.
/// </remarks>
internal sealed class LightPath
{
    /// <summary>Longest stretch: the instruments are looked at anew for each.</summary>
    private const long StretchPicoseconds = 1_000_000_000;

    /// <summary>Shortest stretch, where slots are not longer.</summary>
    private const long LeastPicoseconds = 200_000_000;

    private const int GroupSlots = 64;
    private const int GroupWords = 4;

    private readonly BenchClockMode _mode;
    private readonly BenchInstruments _instruments;
    private readonly BenchClock _clock;
    private readonly ILogger _logger;
    private readonly Happenings _happenings;
    private readonly TimeProvider _wall;
    private readonly TimeSpan _patience;
    private readonly ClickBuffer _clicks = new();
    private readonly ulong[] _symbols;
    private readonly int _stretchSlots;
    private readonly int _leastSlots;
    private readonly long _slot;
    private readonly long _markerDelay;
    private readonly long _holdBack;
    private EavesdropperSettings _eavesdropper;
    private long _taggedTo;
    private long _waitingSince = -1;
    private bool _lit;

    public LightPath(EmulationSettings settings, BenchInstruments instruments, OpticalLine line, BenchClock clock, TimeProvider wall, ILogger logger)
    {
        (_mode, _instruments, Line, _clock, _wall, _logger) = (settings.Clock, instruments, line, clock, wall, logger);
        _slot = line.Settings.Source.SlotPeriodPicoseconds;
        _patience = TimeSpan.FromSeconds(settings.Transmitter.HostPatienceSeconds);
        _stretchSlots = WholeGroups(StretchPicoseconds);
        _leastSlots = WholeGroups(LeastPicoseconds);
        _symbols = new ulong[_stretchSlots / GroupSlots * GroupWords];
        _markerDelay = settings.Tagger.MarkerDelayPicoseconds;

        // A marker that is ahead of its slot's light still has to find the tagger's time before it.
        _holdBack = Math.Max(0, -_markerDelay);
        _eavesdropper = line.Eavesdropper;
        _happenings = new Happenings(settings, this, instruments, logger);
    }

    public OpticalLine Line { get; }

    /// <summary>Who listens from the next stretch on. Any thread.</summary>
    public EavesdropperSettings Eavesdropper
    {
        get => Volatile.Read(ref _eavesdropper);
        set
        {
            if (Interlocked.Exchange(ref _eavesdropper, value) != value)
            {
                Log.Eavesdropper(_logger, value.Kind, value.Fraction);
            }
        }
    }

    /// <summary>Goes on by one stretch at most.</summary>
    /// <param name="target">How far bench time may go, in picoseconds.</param>
    public StepResult Step(long target)
    {
        if (_mode == BenchClockMode.Throttled && _instruments.Tagger.Backlogged)
        {
            return StepResult.Backlogged;
        }

        _happenings.Follow(_clock.Picoseconds);
        var running = _instruments.Transmitter.State == EmissionState.Running;
        return running ? StepLit(target) : StepDark(target);
    }

    private StepResult StepLit(long target)
    {
        var now = _clock.Picoseconds;
        var due = (target - now) / _slot;
        if (due < _leastSlots)
        {
            return StepResult.UpToDate;
        }

        Look();
        var transmitter = _instruments.Transmitter;
        var asked = (int)Math.Min(due / GroupSlots * GroupSlots, _stretchSlots);
        var divisor = transmitter.MarkerDivisor;
        var taken = transmitter.TakeEmission(asked, _symbols, out var first);
        if (taken > 0)
        {
            if (!_lit)
            {
                Log.Light(_logger, first, now * 1e-12);
                _happenings.LightBegan(now);
                _lit = true;
            }

            _waitingSince = -1;
            Line.Propagate(first, taken, _symbols.AsSpan(0, taken / GroupSlots * GroupWords), now, _clicks);
            RecordMarkers(first, taken, divisor, now);
            Deliver(now + (taken * _slot));
        }

        if (taken == asked)
        {
            return StepResult.Moved;
        }

        if (_mode == BenchClockMode.RealTime || HostIsGone(taken))
        {
            Underrun(first + taken);
        }

        return taken > 0 ? StepResult.Moved : StepResult.ShortOfSymbols;
    }

    private StepResult StepDark(long target)
    {
        var now = _clock.Picoseconds;
        if (_lit)
        {
            Log.Dark(_logger, now * 1e-12);
            _lit = false;
        }

        _waitingSince = -1;
        var end = Math.Min(target, now + StretchPicoseconds);
        if (end - now < LeastPicoseconds)
        {
            return StepResult.UpToDate;
        }

        Look();
        Line.PropagateDark(now, end, _clicks);
        Deliver(end);
        return StepResult.Moved;
    }

    /// <summary>Takes over how the instruments stand now.</summary>
    private void Look()
    {
        Line.AttenuatorDecibels = _instruments.Attenuator.AttenuationDecibels;
        _instruments.Paddles.ReadPaddleAngles(Line.PaddleAngles);
        Line.DetectorsEnabled = _instruments.Detectors.Detecting;
        Line.Eavesdropper = Eavesdropper;
    }

    private void RecordMarkers(long firstSlot, int slots, int divisor, long firstPicoseconds)
    {
        var toFirst = (divisor - (firstSlot % divisor)) % divisor;
        if (toFirst < slots)
        {
            var count = (int)((slots - 1 - toFirst) / divisor) + 1;
            var arrival = firstPicoseconds + (toFirst * _slot) + Line.DelayPicoseconds + _markerDelay;
            _instruments.Tagger.RecordReferenceEdges(arrival, divisor * _slot, count);
        }
    }

    /// <summary>Hands over the clicks of a stretch and moves bench time to its end.</summary>
    private void Deliver(long end)
    {
        for (var detector = 0; detector < OpticalLine.DetectorCount; detector++)
        {
            var times = _clicks.Times(detector);
            _instruments.Tagger.RecordClicks(detector + 1, times);
            if (times.Length > 0)
            {
                _instruments.Detectors.AddCounts(detector, times.Length);
            }
        }

        _taggedTo = Math.Max(_taggedTo, _clicks.CompleteBeforePicoseconds - _holdBack);
        _instruments.Tagger.AdvanceTo(_taggedTo);
        _clicks.Clear();
        _clock.AdvanceTo(end);
    }

    /// <summary>Whether bench time has waited for symbols so long that none will come.</summary>
    private bool HostIsGone(int taken)
    {
        if (taken > 0 || _waitingSince < 0)
        {
            _waitingSince = _wall.GetTimestamp();
            return false;
        }

        return _wall.GetElapsedTime(_waitingSince) > _patience;
    }

    private void Underrun(long slot)
    {
        Log.Underrun(_logger, slot);
        _instruments.Transmitter.DeclareUnderrun();
    }

    private int WholeGroups(long picoseconds) => (int)Math.Max(GroupSlots, picoseconds / _slot / GroupSlots * GroupSlots);
}
