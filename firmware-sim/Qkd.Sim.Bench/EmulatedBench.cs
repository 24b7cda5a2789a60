using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Sim.Firmware;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>
/// An emulated quantum key distribution link: five instruments that listen on real transports, the light between them, and a bench time in which
/// both live. Clients find the instruments by the address book <c>instruments.json</c> in the data folder, which is there while they are.
/// </summary>
/// <remarks>All settings are described in <c>docs/emulation.md</c>, the light in <c>docs/physics.md</c>.</remarks>
public sealed class EmulatedBench : IAsyncDisposable
{
    private readonly BenchClock _clock = new();
    private readonly BenchInstruments _instruments;
    private readonly InstrumentsFile _addresses;
    private readonly LightPath _path;
    private readonly TimeProvider _wall;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _dataFolder;
    private Thread? _light;
    private Pacer? _pacer;
    private bool _disposed;

    /// <summary>Makes the bench; nothing listens and bench time is 0 until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">The emulated world.</param>
    /// <param name="dataFolder">Folder of the address book and of the truth; made if missing.</param>
    /// <param name="loggers">Null for none.</param>
    /// <exception cref="EmulationConfigurationException">A setting is out of range; the message begins with its path.</exception>
    public EmulatedBench(EmulationSettings settings, string dataFolder, ILoggerFactory? loggers = null)
        : this(settings, dataFolder, loggers, TimeProvider.System)
    {
    }

    internal EmulatedBench(EmulationSettings settings, string dataFolder, ILoggerFactory? loggers, TimeProvider wall)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentException.ThrowIfNullOrWhiteSpace(dataFolder);
        settings.Validate();
        loggers ??= NullLoggerFactory.Instance;
        (Settings, _dataFolder, _wall) = (settings, dataFolder, wall);
        _logger = loggers.CreateLogger<EmulatedBench>();
        _addresses = new InstrumentsFile(dataFolder);
        _instruments = new BenchInstruments(settings, _clock, loggers);
        var line = new OpticalLine(OpticsOf.Settings(settings, _instruments.Transmitter.PhotonsPerPulse), settings.Seed);
        _path = new LightPath(settings, _instruments, line, _clock, wall, _logger);
    }

    /// <summary>The settings given.</summary>
    public EmulationSettings Settings { get; }

    /// <summary>The instruments: transmitter, attenuator, paddles, detectors, tagger. Addresses are valid once <see cref="StartAsync"/> has returned.</summary>
    public IReadOnlyList<IEmulatedInstrument> Instruments => _instruments.All;

    /// <summary>Runs until the bench is disposed; fails when the light path fails, after which bench time stands still.</summary>
    public Task Completion => _completion.Task;

    /// <summary>How far bench time has gone.</summary>
    public TimeSpan BenchTime => _clock.Elapsed;

    /// <summary>
    /// By how much bench time has fallen behind the wall's for good: with a throttled clock the time spent waiting for hosts, and with either what the
    /// machine was too slow for.
    /// </summary>
    public TimeSpan LostTime => TimeSpan.FromTicks((_pacer?.LostPicoseconds ?? 0) / 100_000);

    /// <summary>The physics: every figure of the light path.</summary>
    public OpticsSettings Optics => _path.Line.Settings;

    /// <summary>What really happened. Never read by a node.</summary>
    public GroundTruth Truth => _path.Line.Truth;

    /// <summary>Who listens now.</summary>
    public EavesdropperSettings Eavesdropper => _path.Eavesdropper;

    /// <summary>Begins to listen at all instruments, writes the address book, and lets bench time go. Called once.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">A port is in use, a terminal cannot be made, or the data folder cannot be written; the message names it.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_light is not null)
        {
            throw new InvalidOperationException("The emulated bench has been started already.");
        }

        _addresses.RemoveStale();
        await _instruments.StartAsync(cancellationToken).ConfigureAwait(false);
        foreach (var instrument in Instruments)
        {
            Log.Listens(_logger, instrument.Name, instrument.DriverId, instrument.Address);
        }

        var truth = Settings.Truth.File.Length == 0
            ? null
            : new TruthLog(Path.Combine(_dataFolder, Settings.Truth.File), TimeSpan.FromSeconds(Settings.Truth.PeriodSeconds));
        _addresses.Write(Instruments);
        _pacer = new Pacer(_wall);
        _light = new Thread(() => Run(truth)) { IsBackground = true, Name = "emulated light" };
        _light.Start();
    }

    /// <summary>Sets who listens, from the next millisecond of bench time on. Any thread.</summary>
    /// <param name="eavesdropper">She, or <see cref="EavesdropperSettings.None"/>.</param>
    /// <exception cref="ArgumentException">The fraction is not within 0 to 1.</exception>
    public void Apply(EavesdropperSettings eavesdropper)
    {
        ArgumentNullException.ThrowIfNull(eavesdropper);
        if (!(eavesdropper.Fraction is >= 0 and <= 1))
        {
            throw new ArgumentException($"The eavesdropper's fraction {eavesdropper.Fraction} is not within 0 to 1.", nameof(eavesdropper));
        }

        _path.Eavesdropper = eavesdropper;
    }

    /// <summary>Makes an instrument misbehave, or mends it with <see cref="InstrumentFault.None"/>. Any thread.</summary>
    /// <param name="instrument">Its name in the address book.</param>
    /// <param name="fault">How.</param>
    /// <exception cref="ArgumentException">There is no such instrument.</exception>
    public void Inject(string instrument, InstrumentFault fault) => _instruments.Find(instrument).Inject(fault);

    /// <summary>Stops bench time, removes the address book and closes the instruments.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _end.CancelAsync().ConfigureAwait(false);
        if (_light is not null)
        {
            await _completion.Task.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).ConfigureAwait(false);
        }

        _addresses.Remove();
        await _instruments.DisposeAsync().ConfigureAwait(false);
        _completion.TrySetResult();
        _end.Dispose();
    }

    private void Run(TruthLog? truth)
    {
        try
        {
            using (truth)
            {
                Run(_path, _pacer!, truth);
            }

            _completion.TrySetResult();
        }
#pragma warning disable CA1031 // Whatever ends this thread must reach those who wait for the bench, and must not end the process.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Log.Failed(_logger, failure);
            _completion.TrySetException(failure);
        }
    }

    private void Run(LightPath path, Pacer pacer, TruthLog? truth)
    {
        var idle = TimeSpan.FromMilliseconds(1);
        var told = 0L;
        while (!_end.IsCancellationRequested)
        {
            var result = path.Step(pacer.Target(_clock.Picoseconds));
            truth?.Follow(_clock.Picoseconds, path.Line);
            _addresses.Write(Instruments);
            if (Settings.Clock == BenchClockMode.RealTime && pacer.LostPicoseconds - told >= 1_000_000_000_000)
            {
                told = pacer.LostPicoseconds;
                Log.Behind(_logger, told * 1e-12);
            }

            if (result != StepResult.Moved)
            {
                _end.Token.WaitHandle.WaitOne(idle);
            }
        }

        truth?.Write(_clock.Picoseconds, path.Line);
    }
}
