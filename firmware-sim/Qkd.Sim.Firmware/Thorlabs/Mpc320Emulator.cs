using System.Buffers.Binary;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Sim.Firmware.Transport;

namespace Qkd.Sim.Firmware.Thorlabs;

/// <summary>
/// An emulated Thorlabs MPC320 three-paddle polarization controller: the APT protocol on a serial line. Channels are the bits 1, 2 and 4;
/// 1370 counts are 170 degrees; paddles move in bench time at a percentage of 400 deg/s.
/// </summary>
/// <remarks>
/// <para>
/// Enabling replaces the mask of all channels; 0 disables them all. Channels are disabled at power-up. After <c>0x0212</c> a stray zero
/// byte is sometimes sent. Messages of other ids are passed over, as the instrument does.
/// </para>
/// <para>
/// Not documented by the maker, and ours: a movement that is refused (channel off, position unknown, target outside 0 to 1370) or cut off by
/// disabling sets the motion error bit, which the next movement that succeeds clears, and is answered by <c>0x0464</c> at once;
/// parameters out of range are not taken.
/// </para>
/// </remarks>
public sealed class Mpc320Emulator : IEmulatedInstrument, ILineHandler
{
    /// <summary>Number of paddles.</summary>
    public const int PaddleCount = 3;

    /// <summary>Counts at the upper limit.</summary>
    public const int CountsAtLimit = 1370;

    /// <summary>Degrees at the upper limit.</summary>
    public const double DegreesAtLimit = 170;

    private const double CountsPerDegree = CountsAtLimit / DegreesAtLimit;
    private const double FullDegreesPerSecond = 400;
    private const int InfoLength = 84;
    private const ushort MotorType = 44;
    private const short RunningMilliamperes = 150;

    private readonly Mpc320Settings _settings;
    private readonly TimeProvider _time;
    private readonly EmulatedPort _port;
    private readonly InstrumentPorts _ports;
    private readonly Lock _gate = new();
    private readonly List<byte> _received = [];
    private readonly PaddleMotor[] _paddles;
    private readonly ITimer[] _arrivals;
    private readonly ITimer _updates;
    private readonly long _origin;

    private EmulatedLine? _line;
    private ushort[] _parameters;
    private byte _enabled;
    private int _enabledAnswers;
    private bool _updating;
    private double _keptAlive;

    /// <summary>Makes the instrument; it is deaf until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <param name="time">Bench time; null for the system's.</param>
    /// <param name="logger">Null for none.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="PlatformNotSupportedException">A pseudo-terminal was asked for where there is none.</exception>
    public Mpc320Emulator(Mpc320Settings? settings = null, TimeProvider? time = null, ILogger<Mpc320Emulator>? logger = null)
    {
        _settings = settings ?? new();
        _settings.Validate();
        _time = time ?? TimeProvider.System;
        _origin = _time.GetTimestamp();
        var jog = (ushort)_settings.JogCounts;
        _parameters = [0, (ushort)_settings.VelocityPercent, (ushort)_settings.HomeCounts, jog, jog, jog];
        _paddles = [.. _settings.PowerUpDegrees.Select(degrees => new PaddleMotor(degrees * CountsPerDegree, _settings.PositionsKnown))];
        var instrument = $"MPC320 '{_settings.Name}'";
        _port = EmulatedPort.ForSerial(instrument, _settings.Medium, _settings.ListenAddress, _settings.Port);
        _ports = new(instrument, _time, _settings.LateBy, _settings.Seed, logger ?? NullLogger<Mpc320Emulator>.Instance);
        _arrivals = [.. Enumerable.Range(0, PaddleCount).Select(paddle =>
            _time.CreateTimer(_ => Arrive(paddle), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan))];
        _updates = _time.CreateTimer(_ => Update(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <inheritdoc/>
    public string DriverId => "thorlabs.mpc320";

    /// <inheritdoc/>
    public string Address => _port.Address;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Endpoints { get; } = new Dictionary<string, string>();

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>();

    /// <summary>How often a host has asked it to blink (0x0223).</summary>
    public int Identifications { get; private set; }

    private double Now => _time.GetElapsedTime(_origin).TotalSeconds;

    private double CountsPerSecond => _parameters[1] / 100.0 * FullDegreesPerSecond * CountsPerDegree;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _ports.Open(_port, this);
        return Task.CompletedTask;
    }

    /// <summary>Reads where the paddles really are now, in degrees, while they move as well.</summary>
    /// <param name="degrees">Three angles, from input to output.</param>
    public void ReadPaddleAngles(Span<double> degrees)
    {
        lock (_gate)
        {
            var now = Now;
            for (var paddle = 0; paddle < PaddleCount; paddle++)
            {
                degrees[paddle] = _paddles[paddle].At(now) / CountsPerDegree;
            }
        }
    }

    /// <inheritdoc/>
    public void Inject(InstrumentFault fault) => _ports.Inject(fault);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ports.DisposeAsync().ConfigureAwait(false);
        await _updates.DisposeAsync().ConfigureAwait(false);
        foreach (var timer in _arrivals)
        {
            await timer.DisposeAsync().ConfigureAwait(false);
        }
    }

    void ILineHandler.Opened(EmulatedLine line)
    {
        lock (_gate)
        {
            _line = line;
            _received.Clear();
        }
    }

    void ILineHandler.Closed(EmulatedLine line)
    {
        lock (_gate)
        {
            if (_line == line)
            {
                _line = null;
            }
        }
    }

    void ILineHandler.Received(EmulatedLine line, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            _received.AddRange(bytes);
            var rest = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_received);
            while (AptMessage.TryRead(rest, out var message) is var taken and not 0)
            {
                rest = rest[Math.Max(taken, 1)..];
                if (message is not null)
                {
                    Execute(message);
                }
            }

            _received.RemoveRange(0, _received.Count - rest.Length);
        }
    }

    private void Execute(AptMessage message)
    {
        switch (message.Id)
        {
            case AptId.RequestInfo:
                Send(AptMessage.Long(AptId.Info, Info()));
                break;
            case AptId.Identify:
                Identifications++;
                break;
            case AptId.SetEnabled:
                Enable(message.Parameter2 == 2 ? (byte)(_enabled & ~message.Parameter1) : message.Parameter1);
                break;
            case AptId.RequestEnabled:
                AnswerEnabled(message.Parameter1);
                break;
            case AptId.Home when Find(message.Parameter1) is { } paddle:
                Begin(paddle, PaddleMotion.Homing, [0, _parameters[2]]);
                break;
            case AptId.MoveAbsolute when message.Data is { Length: >= 6 } data && Find(Word(data, 0)) is { } paddle:
                Begin(paddle, PaddleMotion.Moving, [BinaryPrimitives.ReadInt32LittleEndian(data.AsSpan(2))]);
                break;
            case AptId.Jog when Find(message.Parameter1) is { } paddle:
                var step = message.Parameter2 == 2 ? -_parameters[3 + paddle] : _parameters[3 + paddle];
                Begin(paddle, PaddleMotion.Jogging, [Math.Clamp(_paddles[paddle].At(Now) + step, 0, CountsAtLimit)]);
                break;
            case AptId.Stop when Find(message.Parameter1) is { } paddle:
                _paddles[paddle].Halt(Now);
                Send(AptMessage.Long(AptId.Stopped, Status(paddle)));
                break;
            case AptId.RequestPosition when Find(message.Parameter1) is { } paddle:
                Send(AptMessage.Long(AptId.Position, Status(paddle).AsSpan(0, 6)));
                break;
            case AptId.RequestStatusBits when Find(message.Parameter1) is { } paddle:
                var status = Status(paddle);
                Send(AptMessage.Long(AptId.StatusBits, [.. status.AsSpan(0, 2), .. status.AsSpan(10, 4)]));
                break;
            case AptId.RequestStatus when Find(message.Parameter1) is { } paddle:
                Send(AptMessage.Long(AptId.Status, Status(paddle)));
                break;
            case AptId.SetParameters when message.Data is { Length: >= 12 } data:
                Take(data);
                break;
            case AptId.RequestParameters:
                Send(AptMessage.Long(AptId.Parameters, Parameters()));
                break;
            case AptId.StartUpdates:
                _updating = true;
                _keptAlive = Now;
                _updates.Change(_settings.UpdatePeriod, _settings.UpdatePeriod);
                break;
            case AptId.StopUpdates:
                StopUpdates();
                break;
            case AptId.KeepAlive:
                _keptAlive = Now;
                break;
            default:
                break;
        }
    }

    private void Enable(byte mask)
    {
        _enabled = (byte)(mask & 7);
        for (var paddle = 0; paddle < PaddleCount; paddle++)
        {
            if (!IsEnabled(paddle) && _paddles[paddle].Motion != PaddleMotion.Resting)
            {
                _paddles[paddle].Halt(Now);
                Refuse(paddle);
            }
        }
    }

    private void AnswerEnabled(byte channel)
    {
        byte[] answer = AptMessage.Short(AptId.Enabled, channel, (byte)((_enabled & channel) != 0 ? 1 : 2));
        _enabledAnswers++;
        Send(_settings.StrayZeroEvery > 0 && _enabledAnswers % _settings.StrayZeroEvery == 0 ? [.. answer, 0] : answer);
    }

    private void Begin(int paddle, PaddleMotion motion, ReadOnlySpan<double> targets)
    {
        var motor = _paddles[paddle];
        var possible = IsEnabled(paddle) && (motor.Homed || motion == PaddleMotion.Homing) && targets[^1] is >= 0 and <= CountsAtLimit;
        if (!possible)
        {
            Refuse(paddle);
            return;
        }

        motor.Go(motion, Now, CountsPerSecond, targets);
        Arm(paddle);
    }

    private void Refuse(int paddle)
    {
        _paddles[paddle].Error = true;
        Send(AptMessage.Long(AptId.MoveCompleted, Status(paddle)));
    }

    private void Arm(int paddle)
    {
        var wait = TimeSpan.FromSeconds(Math.Max(0, _paddles[paddle].Arrival - Now)) + TimeSpan.FromTicks(1);
        _arrivals[paddle].Change(wait, Timeout.InfiniteTimeSpan);
    }

    private void Arrive(int paddle)
    {
        lock (_gate)
        {
            var motor = _paddles[paddle];
            if (motor.Motion == PaddleMotion.Resting)
            {
                return;
            }

            if (Now < motor.Arrival)
            {
                Arm(paddle);
                return;
            }

            var homed = motor.Motion == PaddleMotion.Homing;
            motor.Arrive();
            Send(homed ? AptMessage.Short(AptId.Homed, Channel(paddle), 0) : AptMessage.Long(AptId.MoveCompleted, Status(paddle)));
        }
    }

    private void Update()
    {
        lock (_gate)
        {
            if (!_updating)
            {
                return;
            }

            if (_settings.UpdateKeepAlive > TimeSpan.Zero && Now - _keptAlive > _settings.UpdateKeepAlive.TotalSeconds)
            {
                StopUpdates();
                return;
            }

            for (var paddle = 0; paddle < PaddleCount; paddle++)
            {
                Send(AptMessage.Long(AptId.Status, Status(paddle)));
            }
        }
    }

    private void StopUpdates()
    {
        _updating = false;
        _updates.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private void Take(byte[] data)
    {
        ushort[] words = [0, Word(data, 2), Word(data, 4), Word(data, 6), Word(data, 8), Word(data, 10)];
        if (words[1] is >= 10 and <= 100 && words.AsSpan(2).IndexOfAnyExceptInRange((ushort)0, (ushort)CountsAtLimit) < 0)
        {
            _parameters = words;
        }
    }

    private byte[] Parameters()
    {
        var data = new byte[12];
        for (var word = 0; word < _parameters.Length; word++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(2 * word), _parameters[word]);
        }

        return data;
    }

    /// <summary>Channel (2), position (4), velocity in per cent (2), motor current in mA (2), status bits (4).</summary>
    private byte[] Status(int paddle)
    {
        var now = Now;
        var motor = _paddles[paddle];
        var direction = motor.DirectionAt(now);
        var data = new byte[14];
        BinaryPrimitives.WriteUInt16LittleEndian(data, Channel(paddle));
        BinaryPrimitives.WriteInt32LittleEndian(data.AsSpan(2), motor.CountsAt(now));
        BinaryPrimitives.WriteInt16LittleEndian(data.AsSpan(6), (short)(direction == 0 ? 0 : _parameters[1]));
        BinaryPrimitives.WriteInt16LittleEndian(data.AsSpan(8), direction == 0 ? (short)0 : RunningMilliamperes);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(10), (uint)Bits(paddle, direction, motor.CountsAt(now)));
        return data;
    }

    private AptStatus Bits(int paddle, int direction, int counts)
    {
        var motor = _paddles[paddle];
        var bits = AptStatus.Connected;
        bits |= (motor.Motion, direction) switch
        {
            (PaddleMotion.Resting, _) => AptStatus.Settled,
            (PaddleMotion.Jogging, < 0) => AptStatus.JoggingReverse,
            (PaddleMotion.Jogging, _) => AptStatus.JoggingForward,
            (_, < 0) => AptStatus.MovingReverse,
            _ => AptStatus.MovingForward,
        };
        bits |= motor.Motion == PaddleMotion.Homing ? AptStatus.Homing : 0;
        bits |= motor.Homed ? AptStatus.Homed : 0;
        bits |= motor.Homed && counts >= CountsAtLimit ? AptStatus.ForwardLimit : 0;
        bits |= motor.Homed && counts <= 0 ? AptStatus.ReverseLimit : 0;
        bits |= motor.Error ? AptStatus.MotionError : 0;
        bits |= IsEnabled(paddle) ? AptStatus.Enabled : 0;
        return bits;
    }

    /// <summary>Serial (4), model (8), type (2), firmware (4: minor, interim, major, 0), 60 reserved, hardware (2), modification (2), channels (2).</summary>
    private byte[] Info()
    {
        var data = new byte[InfoLength];
        BinaryPrimitives.WriteUInt32LittleEndian(data, _settings.SerialNumber);
        Encoding.ASCII.GetBytes(_settings.Model, data.AsSpan(4, 8));
        BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(12), MotorType);
        data[14] = 4;
        data[15] = 0;
        data[16] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(78), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(82), PaddleCount);
        return data;
    }

    private void Send(byte[] bytes)
    {
        if (_line is { } line)
        {
            _ports.Send(line, bytes);
        }
    }

    private bool IsEnabled(int paddle) => (_enabled & Channel(paddle)) != 0;

    private static byte Channel(int paddle) => (byte)(1 << paddle);

    private static int? Find(int channel) => channel switch { 1 => 0, 2 => 1, 4 => 2, _ => null };

    private static ushort Word(byte[] data, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(offset));
}
