using Qkd.Devices;

namespace Qkd.Link.Preparation;

/// <summary>
/// Alice's light: draws symbols, keeps them in the <see cref="PreparationRecord"/>, streams them to the modulator, and holds the emission
/// lease. When it stops for whatever reason the light is off.
/// </summary>
public sealed class Transmitter : IAsyncDisposable
{
    private readonly ISinglePhotonSource _source;
    private readonly IPolarizationModulator _modulator;
    private readonly ModulationPlan _plan;
    private readonly SymbolDrawer _drawer;
    private readonly int _vacuumIntensity;
    private readonly TimeProvider _time;
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;

    /// <summary>Creates a transmitter that is dark.</summary>
    public Transmitter(
        ISinglePhotonSource source, IPolarizationModulator modulator, ModulationPlan plan, SymbolDrawer drawer, int preparationFrames, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(drawer);
        if (plan.Mode != SymbolMode.Stream)
        {
            throw new NotSupportedException("Only streamed symbols are kept in the preparation record.");
        }

        _source = source;
        _modulator = modulator;
        _plan = plan;
        _drawer = drawer;
        _time = time;
        _vacuumIntensity = drawer.Probabilities.IntensitiesOf256.Count - 1;
        Record = new PreparationRecord(plan.FrameSlots, preparationFrames);
    }

    /// <summary>What has been prepared.</summary>
    public PreparationRecord Record { get; }

    /// <summary>Completes when emission ends; faulted if it ended by itself.</summary>
    public Task Completion => _running;

    /// <summary>Configures the modulator, fills its buffer, switches the light on and starts at slot 0.</summary>
    /// <returns>The first slot.</returns>
    /// <exception cref="DeviceException">An instrument refuses or does not answer; the light is off.</exception>
    public async ValueTask<long> StartAsync(CancellationToken cancellationToken)
    {
        await StopAsync();
        await _modulator.StopAsync(cancellationToken);
        await _modulator.ConfigureAsync(_plan, cancellationToken);
        Record.Reset(0);

        var stop = new CancellationTokenSource();
        _stop = stop;
        var loading = LoadAsync(stop.Token);
        var lease = default(IEmissionLease);
        try
        {
            await Record.WaitForFrameAsync(0, loading, cancellationToken);
            lease = await _source.StartEmissionAsync(cancellationToken);
            await _modulator.StartAsync(0, cancellationToken);
        }
        catch
        {
            await stop.CancelAsync();
            if (lease is not null)
            {
                await lease.DisposeAsync();
            }

            await IgnoreAsync(loading);
            throw;
        }

        _running = HoldAsync(lease, loading, stop);
        return 0;
    }

    /// <summary>The next slot to leave the modulator.</summary>
    public async ValueTask<long> EmittedSlotAsync(CancellationToken cancellationToken) =>
        (await _modulator.GetModulatorStatusAsync(cancellationToken)).NextSlot;

    /// <summary>Switches the light off. Safe to call at any time.</summary>
    public async ValueTask StopAsync()
    {
        if (_stop is { } stop)
        {
            await stop.CancelAsync();
            await IgnoreAsync(_running);
            stop.Dispose();
            _stop = null;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Record.Dispose();
    }

    private static async Task IgnoreAsync(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception)
        {
            // The caller ends this task and has its own reason to tell.
        }
    }

    private async Task LoadAsync(CancellationToken cancellationToken)
    {
        // The first await leaves the caller's thread: drawing goes on beside everything else.
        await Task.Yield();
        while (true)
        {
            var (_, symbols) = await Record.AppendAsync(Prepare, cancellationToken);
            await _modulator.LoadSymbolsAsync(symbols, cancellationToken);
        }
    }

    private void Prepare(long frame, Memory<ulong> symbols)
    {
        var pilot = PackedSymbols.WordCount(_plan.PilotSlots);
        Pilot.Fill(frame, _vacuumIntensity, symbols.Span[..pilot]);
        _drawer.Fill(symbols.Span[pilot..]);
    }

    private async Task HoldAsync(IEmissionLease lease, Task loading, CancellationTokenSource stop)
    {
        try
        {
            var renewing = RenewAsync(lease, stop.Token);
            await await Task.WhenAny(loading, renewing);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            await stop.CancelAsync();
            await DarkenAsync(lease);
            await IgnoreAsync(loading);
        }
    }

    private async Task DarkenAsync(IEmissionLease lease)
    {
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await lease.DisposeAsync();
            await _modulator.StopAsync(limit.Token);
        }
        catch (Exception e) when (e is DeviceException or OperationCanceledException)
        {
            // An instrument that no longer answers goes dark by itself when its lease lapses.
        }
    }

    private async Task RenewAsync(IEmissionLease lease, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(_source.SourceCapabilities.LeaseDuration / 4, _time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            await lease.RenewAsync(cancellationToken);
            var status = await _modulator.GetModulatorStatusAsync(cancellationToken);
            if (!status.Running)
            {
                throw new DeviceException(
                    _modulator.Name, _modulator.Address.Text, status.Fault.Length > 0 ? status.Fault : $"modulation stopped after {status.Underruns} underruns");
            }
        }
    }
}
