using Microsoft.Extensions.Logging;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.IdQuantique;
using Qkd.Sim.Firmware.OzOptics;
using Qkd.Sim.Firmware.ReferenceTransmitter;
using Qkd.Sim.Firmware.SingleQuantum;
using Qkd.Sim.Firmware.Thorlabs;

namespace Qkd.Sim.Bench;

/// <summary>The five instruments of the bench, all on bench time.</summary>
internal sealed class BenchInstruments : IAsyncDisposable
{
    public BenchInstruments(EmulationSettings settings, TimeProvider time, ILoggerFactory loggers)
    {
        var (names, ports, source) = (settings.Instruments, settings.Ports, settings.Transmitter);
        var transmitter = new TransmitterSettings
        {
            Name = names.Transmitter,
            ListenAddress = settings.ListenAddress,
            Port = ports.Transmitter,
            SymbolRateHertz = 1e12 / source.SlotPicoseconds,
            BufferSlots = source.BufferSlots,
            Lease = TimeSpan.FromSeconds(source.LeaseSeconds),
            PhaseRandomised = source.PhaseRandomised,
        };
        Transmitter = new(
            source.OutputPhotonsPerPulse is { } photons ? transmitter with { PhotonsPerPulse = photons } : transmitter,
            time,
            loggers.CreateLogger<ReferenceTransmitterEmulator>());
        Attenuator = new(
            new Dd100McSettings
            {
                Name = names.Attenuator,
                Medium = settings.SerialMedium,
                ListenAddress = settings.ListenAddress,
                Port = ports.Attenuator,
                PositionKnown = settings.Motors.PositionsKnown,
                PowerUpDecibels = settings.Motors.AttenuatorPowerUpDb,
                Seed = settings.Seed,
            },
            time,
            loggers.CreateLogger<Dd100McEmulator>());
        var paddles = new Mpc320Settings
        {
            Name = names.Paddles,
            Medium = settings.SerialMedium,
            ListenAddress = settings.ListenAddress,
            Port = ports.Paddles,
            PositionsKnown = settings.Motors.PositionsKnown,
            Seed = settings.Seed,
        };
        Paddles = new(
            settings.Motors.PaddlePowerUpDegrees is { } degrees ? paddles with { PowerUpDegrees = degrees } : paddles,
            time,
            loggers.CreateLogger<Mpc320Emulator>());
        Detectors = new(
            new WebSqSettings
            {
                Name = names.Detectors,
                ListenAddress = settings.ListenAddress,
                ControlPort = ports.Detectors,
                CountsPort = ports.DetectorCounts,
                DetectorCount = 4,
                Seed = settings.Seed,
            },
            time,
            loggers.CreateLogger<WebSqEmulator>());
        Tagger = new(
            new Id900Settings
            {
                Name = names.Tagger,
                ListenAddress = settings.ListenAddress,
                ControlPort = ports.Tagger,
                ServicePort = ports.TaggerService,
                StreamPort = ports.TaggerStreams,
                ClockOffsetPicoseconds = settings.Tagger.ClockOffsetPicoseconds,
                ClockOffsetPpm = settings.Tagger.ClockOffsetPpm,
                ClockDriftPpmPerSecond = settings.Tagger.ClockDriftPpmPerSecond,
                MaximumTagRateHertz = settings.Tagger.MaximumTagRateHertz,
                Seed = settings.Seed,
            },
            time,
            loggers.CreateLogger<Id900Emulator>());
        All = [Transmitter, Attenuator, Paddles, Detectors, Tagger];
    }

    public ReferenceTransmitterEmulator Transmitter { get; }

    public Dd100McEmulator Attenuator { get; }

    public Mpc320Emulator Paddles { get; }

    public WebSqEmulator Detectors { get; }

    public Id900Emulator Tagger { get; }

    public IReadOnlyList<IEmulatedInstrument> All { get; }

    /// <exception cref="ArgumentException">There is no such instrument.</exception>
    public IEmulatedInstrument Find(string name) =>
        All.FirstOrDefault(instrument => string.Equals(instrument.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"There is no emulated instrument '{name}' on this bench, only {string.Join(", ", All.Select(instrument => instrument.Name))}.", nameof(name));

    /// <exception cref="IOException">A port is in use or a terminal cannot be made.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var instrument in All)
        {
            await instrument.StartAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var instrument in All)
        {
            await instrument.DisposeAsync().ConfigureAwait(false);
        }
    }
}
