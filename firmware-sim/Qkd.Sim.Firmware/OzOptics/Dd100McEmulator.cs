using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Sim.Firmware.Transport;
using static System.FormattableString;

namespace Qkd.Sim.Firmware.OzOptics;

/// <summary>
/// An emulated OZ Optics DD-100-MC motorised attenuator. Commands end in CR; an answer is lines ending in CR LF, then <c>Done</c>, then an
/// empty line. <c>H</c> homes, <c>A12.50</c> moves and answers <c>Pos:2500</c>, <c>D</c> answers <c>DPos:2500</c> and <c>ATTEN:12.50</c>,
/// <c>CD</c> shows the configuration. A command waits until the one before it is done.
/// </summary>
/// <remarks>
/// The maker's texts for a refused command and for an unknown position are not known. Here they are <c>Error: ...</c> in place of the answer's
/// lines, and <c>ATTEN:?</c>; the lines of <c>CD</c> are ours too.
/// </remarks>
public sealed class Dd100McEmulator : IEmulatedInstrument, ILineHandler
{
    private const int LongestCommand = 32;
    private const int CommandsKept = 16;
    private const double BitsPerByte = 10;

    private readonly Dd100McSettings _settings;
    private readonly TimeProvider _time;
    private readonly EmulatedPort _port;
    private readonly InstrumentPorts _ports;
    private readonly Lock _gate = new();
    private readonly StringBuilder _command = new();
    private readonly Queue<string> _waiting = new();
    private readonly ITimer _finish;
    private readonly long _origin;

    private EmulatedLine? _line;
    private Work? _work;
    private Travel _travel;
    private bool _positionKnown;

    /// <summary>Makes the instrument; it is deaf until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <param name="time">Bench time; null for the system's.</param>
    /// <param name="logger">Null for none.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="PlatformNotSupportedException">A pseudo-terminal was asked for where there is none.</exception>
    public Dd100McEmulator(Dd100McSettings? settings = null, TimeProvider? time = null, ILogger<Dd100McEmulator>? logger = null)
    {
        _settings = settings ?? new();
        _settings.Validate();
        _time = time ?? TimeProvider.System;
        _origin = _time.GetTimestamp();
        _positionKnown = _settings.PositionKnown;
        _travel = new(_settings.PowerUpDecibels, _settings.PowerUpDecibels, 0, 0);
        var instrument = $"DD-100-MC '{_settings.Name}'";
        _port = EmulatedPort.ForSerial(instrument, _settings.Medium, _settings.ListenAddress, _settings.Port);
        _ports = new(instrument, _time, _settings.LateBy, _settings.Seed, logger ?? NullLogger<Dd100McEmulator>.Instance);
        _finish = _time.CreateTimer(_ => Finish(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <inheritdoc/>
    public string DriverId => "ozoptics.dd100mc";

    /// <inheritdoc/>
    public string Address => _port.Address;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Endpoints { get; } = new Dictionary<string, string>();

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>();

    /// <summary>Attenuation of the light now, in dB; while the motor runs, where it is.</summary>
    public double AttenuationDecibels
    {
        get
        {
            lock (_gate)
            {
                return _travel.At(Now);
            }
        }
    }

    private double Now => _time.GetElapsedTime(_origin).TotalSeconds;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _ports.Open(_port, this);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Inject(InstrumentFault fault) => _ports.Inject(fault);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ports.DisposeAsync().ConfigureAwait(false);
        await _finish.DisposeAsync().ConfigureAwait(false);
    }

    void ILineHandler.Opened(EmulatedLine line)
    {
        lock (_gate)
        {
            _line = line;
        }
    }

    void ILineHandler.Closed(EmulatedLine line)
    {
        lock (_gate)
        {
            if (_line == line)
            {
                _line = null;
                _command.Clear();
                _waiting.Clear();
            }
        }
    }

    void ILineHandler.Received(EmulatedLine line, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            foreach (var value in bytes)
            {
                if (value == '\r')
                {
                    if (_waiting.Count < CommandsKept)
                    {
                        _waiting.Enqueue(_command.ToString());
                    }

                    _command.Clear();
                }
                else if (value != '\n' && _command.Length < LongestCommand)
                {
                    _command.Append((char)value);
                }
            }

            Next();
        }
    }

    /// <summary>Takes the next command if none is being worked at.</summary>
    private void Next()
    {
        if (_work is not null || !_waiting.TryDequeue(out var command))
        {
            return;
        }

        var work = Begin(command);
        var characters = command.Length + 1 + work.Answer.Length;
        var seconds = work.Seconds + (_settings.BaudRate > 0 ? characters * BitsPerByte / _settings.BaudRate : 0);
        _work = work with { End = Now + seconds };
        Arm();
    }

    private void Arm() =>
        _finish.Change(TimeSpan.FromSeconds(Math.Max(0, _work!.End - Now)) + TimeSpan.FromTicks(1), Timeout.InfiniteTimeSpan);

    private void Finish()
    {
        lock (_gate)
        {
            if (_work is not { } work)
            {
                return;
            }

            if (Now < work.End)
            {
                Arm();
                return;
            }

            _positionKnown |= work.Homes;
            if (_line is { } line)
            {
                _ports.Send(line, Encoding.ASCII.GetBytes(work.Answer));
            }

            _work = null;
            Next();
        }
    }

    private Work Begin(string command)
    {
        var text = command.Trim().ToUpperInvariant();
        return text switch
        {
            "H" => Home(),
            "D" => new(Lines(Invariant($"DPos:{(_positionKnown ? Steps(_travel.To) : 0)}"), _positionKnown ? Invariant($"ATTEN:{_travel.To:F2}") : "ATTEN:?")),
            "CD" => new(Lines("DD-100-MC", Invariant($"RANGE:0.00-{_settings.MaximumDecibels:F2}"), Invariant($"STEPS/DB:{_settings.StepsPerDecibel}"))),
            ['A', ..] when double.TryParse(text.AsSpan(1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var decibels) => Move(decibels),
            _ => new(Lines($"Error: unknown command '{Printable(command)}'")),
        };
    }

    private Work Home()
    {
        var way = Travelling(0);
        return new(Lines()) { Seconds = way + _settings.HomingTime.TotalSeconds, Homes = true };
    }

    private Work Move(double decibels)
    {
        if (!_positionKnown)
        {
            return new(Lines("Error: position unknown, home first"));
        }

        if (decibels > _settings.MaximumDecibels)
        {
            return new(Lines(Invariant($"Error: {decibels:F2} dB is out of range 0.00 to {_settings.MaximumDecibels:F2} dB")));
        }

        var steps = Steps(decibels);
        return new(Lines(Invariant($"Pos:{steps}"))) { Seconds = Travelling((double)steps / _settings.StepsPerDecibel) };
    }

    /// <summary>Sets the motor going and says how long it takes, in seconds.</summary>
    private double Travelling(double to)
    {
        var now = Now;
        var from = _travel.At(now);
        var seconds = Math.Abs(to - from) / _settings.DecibelsPerSecond;
        _travel = new(from, to, now, now + seconds);
        return seconds;
    }

    private long Steps(double decibels) => (long)Math.Round(decibels * _settings.StepsPerDecibel);

    private static string Lines(params ReadOnlySpan<string> lines)
    {
        var answer = new StringBuilder();
        foreach (var line in lines)
        {
            answer.Append(line).Append("\r\n");
        }

        return answer.Append("Done\r\n\r\n").ToString();
    }

    private static string Printable(string text) => string.Concat(text.Select(character => character is >= ' ' and <= '~' ? character : '?'));

    /// <summary>A command under way.</summary>
    private sealed record Work(string Answer)
    {
        /// <summary>What it takes besides the serial line.</summary>
        public double Seconds { get; init; }

        public double End { get; init; }

        public bool Homes { get; init; }
    }

    /// <summary>A movement from one attenuation to another, at even speed.</summary>
    private readonly record struct Travel(double From, double To, double Start, double End)
    {
        public double At(double now) => now >= End ? To : From + ((To - From) * Math.Clamp((now - Start) / (End - Start), 0, 1));
    }
}
