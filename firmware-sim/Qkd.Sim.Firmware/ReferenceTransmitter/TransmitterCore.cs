using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>
/// The instrument's state: laser and lease, interlocks, modulation, symbols. Knows requests and payloads, not connections. All
/// members may be called from any thread.
/// </summary>
/// <remarks>
/// Modulation goes from unconfigured to configured (CONFIGURE), running (START) and ended; whatever ends it (STOP, underrun, the light going
/// off) forgets the symbols, and only CONFIGURE leads on from there.
/// </remarks>
internal sealed class TransmitterCore : IDisposable
{
    private readonly TransmitterSettings _settings;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly SymbolRing _ring;
    private readonly ITimer _leaseTimer;
    private readonly Queue<(long Frame, byte[] Seed)> _seeds = new();

    private Func<byte[], bool>? _host;
    private Modulation _modulation = Modulation.Unconfigured;
    private Plan _plan = new(Seeded: false, FrameSlots: 1_000_000, PilotSlots: 0, MarkerDivisor: 1000);
    private SymbolExpander? _expander;
    private InterlockBits _interlock;
    private string _fault = "";
    private double _temperature;
    private bool _laserOn;
    private long _leaseStart;
    private long _firstSlot;
    private long _emitted;
    private long _creditGiven;
    private long _seedsReceived;
    private long _seedsTaken;
    private long _nextSeedFrame;
    private uint _underruns;
    private int _generation;

    public TransmitterCore(TransmitterSettings settings, TimeProvider time)
    {
        _settings = settings;
        _time = time;
        _ring = new SymbolRing(settings.BufferSlots);
        _temperature = (settings.LowestTemperatureCelsius + settings.HighestTemperatureCelsius) / 2;
        _leaseTimer = time.CreateTimer(_ => CheckLease(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private enum Modulation
    {
        Unconfigured,
        Configured,
        Running,
        Ended,
    }

    public SymbolRing Ring => _ring;

    public int FrameSlots
    {
        get
        {
            lock (_gate)
            {
                return _plan.FrameSlots;
            }
        }
    }

    public int MarkerDivisor
    {
        get
        {
            lock (_gate)
            {
                return _plan.MarkerDivisor;
            }
        }
    }

    public EmissionState State
    {
        get
        {
            lock (_gate)
            {
                ExpireLease();
                return _modulation == Modulation.Running ? EmissionState.Running : EmissionState.Dark;
            }
        }
    }

    public double Temperature
    {
        get
        {
            lock (_gate)
            {
                return _temperature;
            }
        }

        set
        {
            lock (_gate)
            {
                _temperature = value;
                var inRange = value >= _settings.LowestTemperatureCelsius && value <= _settings.HighestTemperatureCelsius;
                SetInterlock(InterlockBits.Temperature, !inRange, inRange ? "laser temperature in range" : "laser temperature out of range");
            }
        }
    }

    public InterlockBits Interlock
    {
        get
        {
            lock (_gate)
            {
                return _interlock;
            }
        }
    }

    /// <summary>Opens or closes an interlock; opening one puts the light out.</summary>
    public void SetInterlock(InterlockBits bit, bool open, string text)
    {
        lock (_gate)
        {
            if (open == ((_interlock & bit) != 0))
            {
                return;
            }

            _interlock ^= bit;
            if (open)
            {
                PutOut();
            }

            Notify(open ? EventKind.Interlock : EventKind.Recovered, text);
        }
    }

    /// <summary>Sets a fault, which puts the light out, or with an empty text mends it.</summary>
    public void SetFault(string text)
    {
        lock (_gate)
        {
            if (text == _fault)
            {
                return;
            }

            var mended = text.Length == 0;
            (_fault, _interlock) = (text, mended ? _interlock & ~InterlockBits.Fault : _interlock | InterlockBits.Fault);
            if (!mended)
            {
                PutOut();
            }

            Notify(mended ? EventKind.Recovered : EventKind.Fault, mended ? "fault mended" : text);
        }
    }

    /// <summary>A host has come: unasked messages go to it, if it has room for them.</summary>
    public void Attach(Func<byte[], bool> host)
    {
        lock (_gate)
        {
            _host = host;
        }
    }

    /// <summary>The host has gone: light off, configuration forgotten.</summary>
    public void Detach()
    {
        lock (_gate)
        {
            _host = null;
            PutOut();
            Forget();
            _modulation = Modulation.Unconfigured;
        }
    }

    /// <summary>Answers a request with the payload of its reply; null for SEED, which has none.</summary>
    /// <exception cref="RefusalException">The request is refused.</exception>
    public byte[]? Request(MessageType type, ReadOnlySpan<byte> payload)
    {
        lock (_gate)
        {
            ExpireLease();
            switch (type)
            {
                case MessageType.Identify:
                    RequireLength(payload, 0);
                    return Identify();
                case MessageType.Capabilities:
                    RequireLength(payload, 0);
                    return Capabilities();
                case MessageType.Status:
                    RequireLength(payload, 0);
                    return Status();
                case MessageType.Configure:
                    Configure(payload);
                    return [];
                case MessageType.LaserOn:
                    RequireLength(payload, 0);
                    return LaserOn();
                case MessageType.Renew:
                    RequireLength(payload, 0);
                    return Renew();
                case MessageType.LaserOff:
                    RequireLength(payload, 0);
                    PutOut();
                    return [];
                case MessageType.Start:
                    RequireLength(payload, 8);
                    Start(BinaryPrimitives.ReadUInt64LittleEndian(payload));
                    return [];
                case MessageType.Stop:
                    RequireLength(payload, 0);
                    EndModulation();
                    return [];
                case MessageType.Seed:
                    RequireLength(payload, 40);
                    TakeSeed(BinaryPrimitives.ReadUInt64LittleEndian(payload), payload[8..]);
                    return null;
                default:
                    throw new RefusalException(RefusalCode.UnknownType, $"unknown message type 0x{(byte)type:X2}");
            }
        }
    }

    /// <summary>After a CONFIGURE has been answered: tells the host how much it may send.</summary>
    public void GrantFirstCredit()
    {
        lock (_gate)
        {
            if (_modulation == Modulation.Configured)
            {
                GrantCredit(force: true);
            }
        }
    }

    /// <summary>Allows symbols to be received into the ring. Returns what <see cref="CommitSymbols"/> wants to see again.</summary>
    /// <exception cref="RefusalException">They are not expected, or beyond the credit.</exception>
    public int AcceptSymbols(ulong position, uint slots)
    {
        lock (_gate)
        {
            ExpireLease();
            if (slots % 64 != 0)
            {
                throw new RefusalException(RefusalCode.WrongForm, $"{slots} slots are not a multiple of 64");
            }

            if (_plan.Seeded || _modulation is not (Modulation.Configured or Modulation.Running))
            {
                throw new RefusalException(RefusalCode.NotInThisState, "symbols are not expected");
            }

            if (position != (ulong)_ring.Received)
            {
                throw new RefusalException(RefusalCode.NotInThisState, $"position {position} is not the {_ring.Received} slots sent");
            }

            if (_ring.Received + slots > _creditGiven)
            {
                throw new RefusalException(RefusalCode.NotInThisState, $"{slots} slots at {position} are beyond the credit of {_creditGiven}");
            }

            return _generation;
        }
    }

    /// <summary>Symbols accepted have been received. Forgotten if the buffer has been emptied meanwhile.</summary>
    public void CommitSymbols(int generation, long slots)
    {
        lock (_gate)
        {
            if (generation == _generation)
            {
                _ring.Commit(slots);
            }
        }
    }

    /// <summary>Takes the slots that leave next: whole groups, at most as many as fit and are there.</summary>
    public int TakeEmission(int maxSlots, Span<ulong> packed, out long firstSlot)
    {
        lock (_gate)
        {
            ExpireLease();
            firstSlot = _firstSlot + _emitted;
            if (_modulation != Modulation.Running)
            {
                return 0;
            }

            var slots = (int)Math.Min(Math.Min(maxSlots, packed.Length * 16L), BufferedSlots) / 64 * 64;
            packed = packed[..(slots / 16)];
            if (_plan.Seeded)
            {
                ExpandSeeds(packed);
            }
            else
            {
                _ring.Take(packed);
            }

            _emitted += slots;
            GrantCredit(force: false);
            return slots;
        }
    }

    public void DeclareUnderrun()
    {
        lock (_gate)
        {
            if (_modulation == Modulation.Running)
            {
                _underruns++;
                EndModulation();
                Notify(EventKind.Underrun, $"no symbol for slot {_firstSlot + _emitted}");
            }
        }
    }

    public void Dispose()
    {
        _leaseTimer.Dispose();
        lock (_gate)
        {
            Forget();
            _expander?.Dispose();
        }
    }

    private long BufferedSlots => _modulation is not (Modulation.Configured or Modulation.Running) ? 0
        : _plan.Seeded ? (_seedsReceived * _plan.FrameSlots) - _emitted
        : _ring.Buffered;

    private static void RequireLength(ReadOnlySpan<byte> payload, int length)
    {
        if (payload.Length != length)
        {
            throw new RefusalException(RefusalCode.WrongForm, $"payload of {payload.Length} bytes instead of {length}");
        }
    }

    private byte[] Identify()
    {
        var payload = new PayloadWriter();
        payload.Text("QKD Reference");
        payload.Text("Reference transmitter");
        payload.Text(_settings.SerialNumber);
        payload.Text(_settings.FirmwareVersion);
        return payload.ToArray();
    }

    private byte[] Capabilities()
    {
        var payload = new PayloadWriter();
        payload.Double(_settings.SymbolRateHertz);
        payload.UInt64(_settings.BufferSlots);
        payload.UInt32((uint)_settings.MaximumMarkerDivisor);
        payload.UInt32((uint)_settings.MaximumFrameSlots);
        payload.UInt32(LeaseMilliseconds);
        payload.Byte(3);
        payload.Byte(_settings.PhaseRandomised ? (byte)1 : (byte)0);
        payload.Byte((byte)_settings.PhotonsPerPulse.Count);
        foreach (var mean in _settings.PhotonsPerPulse)
        {
            payload.Double(mean);
        }

        return payload.ToArray();
    }

    private byte[] Status()
    {
        var payload = new PayloadWriter();
        payload.Byte(_laserOn ? (byte)1 : (byte)0);
        payload.Byte((byte)_interlock);
        payload.Byte(_modulation == Modulation.Running ? (byte)1 : (byte)0);
        payload.Single(_temperature);
        payload.UInt64(_firstSlot + _emitted);
        payload.UInt64(BufferedSlots);
        payload.UInt32(_underruns);
        payload.Text(_fault);
        return payload.ToArray();
    }

    private void Configure(ReadOnlySpan<byte> payload)
    {
        var (plan, xWeight, weights) = ConfigureRequest.Read(payload, _settings);
        if (_modulation == Modulation.Running)
        {
            throw new RefusalException(RefusalCode.NotInThisState, "running: STOP first");
        }

        Forget();
        _plan = plan;
        (_firstSlot, _emitted, _creditGiven) = (0, 0, 0);
        _expander?.Dispose();
        _expander = plan.Seeded ? new SymbolExpander(xWeight, weights, plan.PilotSlots) : null;
        _modulation = Modulation.Configured;
    }

    private uint LeaseMilliseconds => (uint)_settings.Lease.TotalMilliseconds;

    private byte[] LaserOn()
    {
        if ((_interlock & InterlockBits.Fault) != 0)
        {
            throw new RefusalException(RefusalCode.Fault, _fault);
        }

        _interlock &= ~InterlockBits.LeaseLapsed;
        RequireInterlock();
        _laserOn = true;
        return BeginLease();
    }

    private byte[] Renew()
    {
        if (!_laserOn)
        {
            RequireInterlock();
            throw new RefusalException(RefusalCode.NotInThisState, "the laser is off");
        }

        return BeginLease();
    }

    private void RequireInterlock()
    {
        if (_interlock != InterlockBits.None)
        {
            throw new RefusalException(RefusalCode.InterlockOpen, $"interlock open: {_interlock}");
        }
    }

    private byte[] BeginLease()
    {
        _leaseStart = _time.GetTimestamp();
        _leaseTimer.Change(_settings.Lease, Timeout.InfiniteTimeSpan);
        var payload = new PayloadWriter();
        payload.UInt32(LeaseMilliseconds);
        return payload.ToArray();
    }

    private void Start(ulong firstSlot)
    {
        if (firstSlot > long.MaxValue || firstSlot % (ulong)_plan.FrameSlots != 0)
        {
            throw new RefusalException(RefusalCode.OutOfRange, $"slot {firstSlot} does not begin a frame of {_plan.FrameSlots}");
        }

        if (!_laserOn)
        {
            throw new RefusalException(RefusalCode.NotInThisState, "the laser is off");
        }

        if (_modulation != Modulation.Configured)
        {
            throw new RefusalException(RefusalCode.NotInThisState, "CONFIGURE first");
        }

        if (_plan.Seeded)
        {
            var frame = (long)firstSlot / _plan.FrameSlots;
            if (!_seeds.TryPeek(out var first) || first.Frame != frame)
            {
                throw new RefusalException(RefusalCode.NotInThisState, $"there is no seed for frame {frame}");
            }

            _expander!.SetFrame(first.Frame, first.Seed);
        }
        else if (_ring.Buffered < Math.Min(_plan.FrameSlots, _ring.Capacity))
        {
            throw new RefusalException(RefusalCode.NotInThisState, $"only {_ring.Buffered} slots of symbols are there");
        }

        _firstSlot = (long)firstSlot;
        _underruns = 0;
        _modulation = Modulation.Running;
    }

    private void TakeSeed(ulong frame, ReadOnlySpan<byte> seed)
    {
        if (!_plan.Seeded || _modulation is not (Modulation.Configured or Modulation.Running))
        {
            throw new RefusalException(RefusalCode.NotInThisState, "seeds are not expected");
        }

        if (_seedsReceived >= _creditGiven)
        {
            throw new RefusalException(RefusalCode.NotInThisState, $"beyond the credit of {_creditGiven} seeds");
        }

        var follows = _seedsReceived > 0 ? _nextSeedFrame : (long)Math.Min(frame, long.MaxValue / (ulong)_plan.FrameSlots);
        if (frame != (ulong)follows)
        {
            throw new RefusalException(RefusalCode.NotInThisState, $"frame {frame} does not follow: {follows} is next");
        }

        _seeds.Enqueue((follows, seed.ToArray()));
        _nextSeedFrame = follows + 1;
        _seedsReceived++;
    }

    private void ExpandSeeds(Span<ulong> packed)
    {
        var emitted = _emitted;
        while (packed.Length > 0)
        {
            var inFrame = (int)(emitted - (_seedsTaken * _plan.FrameSlots));
            var slots = Math.Min(packed.Length * 16, _plan.FrameSlots - inFrame);
            _expander!.Expand(inFrame, packed[..(slots / 16)]);
            packed = packed[(slots / 16)..];
            emitted += slots;
            if (inFrame + slots == _plan.FrameSlots)
            {
                CryptographicOperations.ZeroMemory(_seeds.Dequeue().Seed);
                _seedsTaken++;
                if (_seeds.TryPeek(out var next))
                {
                    _expander.SetFrame(next.Frame, next.Seed);
                }
            }
        }
    }

    /// <summary>Tells the host how much it may send once a frame or an eighth of the buffer has become free, whichever is less.</summary>
    private void GrantCredit(bool force)
    {
        var (credit, step) = _plan.Seeded
            ? (_seedsTaken + Math.Max(1, _settings.BufferSlots / _plan.FrameSlots), 1)
            : (_ring.Taken + _ring.Capacity, Math.Min(_ring.Capacity / 8, _plan.FrameSlots));
        if ((force || credit - _creditGiven >= step) && _host?.Invoke(TransmitterMessage.Credit(credit)) == true)
        {
            _creditGiven = credit;
        }
    }

    private void PutOut()
    {
        _laserOn = false;
        _leaseTimer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (_modulation == Modulation.Running)
        {
            EndModulation();
        }
    }

    private void EndModulation()
    {
        if (_modulation is Modulation.Configured or Modulation.Running)
        {
            Forget();
            _modulation = Modulation.Ended;
        }
    }

    private void Forget()
    {
        _generation++;
        _ring.Reset();
        foreach (var (_, seed) in _seeds)
        {
            CryptographicOperations.ZeroMemory(seed);
        }

        _seeds.Clear();
        (_seedsReceived, _seedsTaken) = (0, 0);
    }

    private void CheckLease()
    {
        lock (_gate)
        {
            ExpireLease();
            if (_laserOn)
            {
                // The timer may run on another clock than bench time: wait for what is left.
                _leaseTimer.Change(_settings.Lease - _time.GetElapsedTime(_leaseStart), Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void ExpireLease()
    {
        if (_laserOn && _time.GetElapsedTime(_leaseStart) >= _settings.Lease)
        {
            _interlock |= InterlockBits.LeaseLapsed;
            PutOut();
            Notify(EventKind.LeaseLapsed, "the lease was not renewed");
        }
    }

    private void Notify(EventKind kind, string text) => _host?.Invoke(TransmitterMessage.Event(kind, text));
}
