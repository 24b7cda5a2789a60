using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Qkd.Devices;

namespace Qkd.Link.Tests.Session;

/// <summary>
/// Transmitter, fibre, receiver and tagger in one object: weak coherent pulses over a lossy channel with a set error rate, as fast as the
/// processor allows. Plain on purpose: the physics is proven elsewhere, here it only has to allow key.
/// </summary>
internal sealed class LoopbackLight(int seed) : ISinglePhotonSource, IPolarizationModulator, ITimeTagger
{
    public static readonly double[] Means = [0.45, 0.15, 0.001];
    private const double Transmission = 0.5;
    private const double Dark = 1e-5;
    private const double Period = 10_000;
    private const int FramesAnAcquisition = 4;

    private readonly Random _random = new(seed);
    private Channel<ulong[]> _symbols = NewQueue();
    private ModulationPlan? _plan;
    private volatile bool _running;

    /// <summary>Error rate of the light, 0 to 0.5. May change at any time.</summary>
    public double ErrorRate { get; set; } = 0.01;

    /// <summary>Share of the clicks that come with one of the other detector of their basis, 0 to 1.</summary>
    public double DoubleClicks { get; set; }

    /// <summary>What the tags' times count from.</summary>
    public TagTimeBase TimeBase { get; init; } = TagTimeBase.Referenced;

    /// <summary>Whether light is on.</summary>
    public bool Emitting { get; private set; }

    /// <summary>How often a lease was let go.</summary>
    public int LeasesEnded { get; private set; }

    /// <summary>Runs when the modulator is told to start, whatever the token says: an instrument that takes its time.</summary>
    public Func<Task> Starting { get; set; } = static () => Task.CompletedTask;

    /// <summary>What loading symbols ends in; null for nothing.</summary>
    public Exception? LoadingFails { get; set; }

    public string Name => "light";

    public DeviceAddress Address => DeviceAddress.ForTcp("127.0.0.1", 1);

    public DeviceIdentity Identity => new("test", "light", "", "");

    public IReadOnlyList<IDeviceParameter> Parameters => [];

    public IObservable<DeviceEvent> Events => throw new NotSupportedException();

    public SourceCapabilities SourceCapabilities { get; } = new()
    {
        RepetitionRateHertz = 100e6,
        PhaseRandomised = true,
        OutputPhotonsPerPulse = Means,
        LeaseDuration = TimeSpan.FromSeconds(1),
    };

    public ModulatorCapabilities ModulatorCapabilities { get; } = new()
    {
        SymbolRateHertz = 100e6,
        IntensityCount = 3,
        Modes = [SymbolMode.Stream],
        BufferSlots = 1_000_000,
        MaximumMarkerDivisor = 1000,
    };

    public TaggerCapabilities TaggerCapabilities => throw new NotSupportedException();

    public ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<SourceStatus> GetSourceStatusAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<IEmissionLease> StartEmissionAsync(CancellationToken cancellationToken)
    {
        Emitting = true;
        return ValueTask.FromResult<IEmissionLease>(new Lease(this));
    }

    public ValueTask ConfigureAsync(ModulationPlan plan, CancellationToken cancellationToken)
    {
        _plan = plan;
        _symbols = NewQueue();
        return ValueTask.CompletedTask;
    }

    public async ValueTask LoadSymbolsAsync(ReadOnlyMemory<ulong> packedSymbols, CancellationToken cancellationToken)
    {
        if (LoadingFails is { } failure && Emitting)
        {
            throw failure;
        }

        await _symbols.Writer.WriteAsync(packedSymbols.ToArray(), cancellationToken);
    }

    public ValueTask LoadSeedAsync(long frame, ReadOnlyMemory<byte> seed, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask StartAsync(long firstSlot, CancellationToken cancellationToken)
    {
        await Starting();
        _running = true;
    }

    public ValueTask StopAsync(CancellationToken cancellationToken)
    {
        _running = false;
        return ValueTask.CompletedTask;
    }

    public ValueTask<ModulatorStatus> GetModulatorStatusAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new ModulatorStatus(true, 0, 0, 0, ""));

    public ValueTask ConfigureInputAsync(TaggerInput input, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async IAsyncEnumerable<TagBatch> ReadTagsAsync(TagStreamRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (long acquisition = 0; ; acquisition++)
        {
            var clicks = Enumerable.Range(0, 4).Select(_ => (Times: new List<long>(), Edges: new List<long>())).ToArray();
            if (!_running)
            {
                await Task.Delay(2, cancellationToken);
            }
            else
            {
                for (var frame = 0; frame < FramesAnAcquisition; frame++)
                {
                    Detect(await _symbols.Reader.ReadAsync(cancellationToken), frame, clicks);
                }
            }

            yield return new TagBatch
            {
                TimeBase = TimeBase,
                Acquisition = acquisition,
                AcquisitionStartPicoseconds = TimeBase == TagTimeBase.Absolute ? acquisition * FramesAnAcquisition * (long)((_plan?.FrameSlots ?? 0) * Period) : 0,
                Runs = [.. Enumerable.Range(0, 4).Where(d => clicks[d].Times.Count > 0).Select(d => new TagRun(d + 1, clicks[d].Times.ToArray(), clicks[d].Edges.ToArray()))],
                EndsAcquisition = true,
                ReceivedAt = DateTimeOffset.UnixEpoch,
            };
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static Channel<ulong[]> NewQueue() => Channel.CreateBounded<ulong[]>(4);

    private void Detect(ulong[] packed, int frame, (List<long> Times, List<long> Edges)[] clicks)
    {
        var plan = _plan!;
        for (var slot = 0; slot < plan.FrameSlots; slot++)
        {
            // The cheapest first: most slots are silent.
            var chance = _random.NextDouble();
            if (chance > 0.25)
            {
                continue;
            }

            var symbol = PackedSymbols.Read(packed, slot);
            if (chance > 1 - Math.Exp(-Means[symbol.Intensity] * Transmission) + Dark)
            {
                continue;
            }

            var basis = _random.Next(2);
            var bit = (int)symbol.Basis == basis ? symbol.Bit ^ (_random.NextDouble() < ErrorRate ? 1 : 0) : _random.Next(2);
            var number = (frame * plan.FrameSlots) + slot;
            Click(bit);
            if (DoubleClicks > 0 && _random.NextDouble() < DoubleClicks)
            {
                Click(1 - bit);
            }

            void Click(int value)
            {
                var since = TimeBase == TagTimeBase.Absolute ? number : number % plan.MarkerDivisor;
                clicks[(2 * basis) + value].Times.Add((long)((since * Period) + 3000 + (80 * (_random.NextDouble() - 0.5))));
                if (TimeBase == TagTimeBase.Referenced)
                {
                    clicks[(2 * basis) + value].Edges.Add(1 + (number / plan.MarkerDivisor));
                }
            }
        }
    }

    private sealed class Lease(LoopbackLight light) : IEmissionLease
    {
        public ValueTask RenewAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync()
        {
            light.Emitting = false;
            light.LeasesEnded++;
            return ValueTask.CompletedTask;
        }
    }
}
