using Qkd.Devices;

namespace Qkd.Link.Preparation;

/// <summary>
/// Alice's light: draws symbols, keeps them in the <see cref="PreparationRecord"/>, streams them to the modulator, and holds the emission
/// lease. When it stops for whatever reason the light is off.
/// </summary>
public sealed class Transmitter : IAsyncDisposable
{
    private static readonly TimeSpan TimeToDarken = TimeSpan.FromSeconds(2);

    private readonly ISinglePhotonSource _source;
    private readonly IPolarizationModulator _modulator;
    private readonly ModulationPlan _plan;
    private readonly SymbolDrawer _drawer;
    private readonly int _vacuumIntensity;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private CancellationTokenSource _interrupt = new();
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
        var interrupt = Volatile.Read(ref _interrupt).Token;
        using var wanted = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, interrupt);
        await _turn.WaitAsync(wanted.Token);
        try
        {
            await EndAsync();
            await _modulator.StopAsync(wanted.Token);
            await _modulator.ConfigureAsync(_plan, wanted.Token);
            Record.Reset(0);
            await BeginAsync(interrupt, wanted.Token);
            return 0;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The next slot to leave the modulator.</summary>
    public async ValueTask<long> EmittedSlotAsync(CancellationToken cancellationToken) =>
        (await _modulator.GetModulatorStatusAsync(cancellationToken)).NextSlot;

    /// <summary>Switches the light off, and breaks off a start that is under way. Safe to call at any time.</summary>
    public async ValueTask StopAsync()
    {
        await Interlocked.Exchange(ref _interrupt, new CancellationTokenSource()).CancelAsync();
        await _turn.WaitAsync();
        try
        {
            await EndAsync();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Record.Dispose();
        _interrupt.Dispose();
        _turn.Dispose();
    }

    private static async Task IgnoreAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception)
        {
            // The caller ends this and has its own reason to tell.
        }
    }

    /// <summary>Ends an emission and waits until it is dark. By whoever has the turn.</summary>
    private async Task EndAsync()
    {
        if (_stop is { } stop)
        {
            await stop.CancelAsync();
            await IgnoreAsync(() => _running);
            stop.Dispose();
            _stop = null;
        }
    }

    /// <summary>Switches the light on. By whoever has the turn.</summary>
    private async Task BeginAsync(CancellationToken interrupt, CancellationToken cancellationToken)
    {
        var stop = new CancellationTokenSource();
        var loading = LoadAsync(stop.Token);
        var lease = default(IEmissionLease);
        try
        {
            await Record.WaitForFrameAsync(0, loading, cancellationToken);
            lease = await _source.StartEmissionAsync(cancellationToken);
            await _modulator.StartAsync(0, cancellationToken);

            // An instrument may have gone on in spite of the token, and a linked token is a moment late.
            interrupt.ThrowIfCancellationRequested();
            cancellationToken.ThrowIfCancellationRequested();
        }
        catch
        {
            await stop.CancelAsync();
            await DarkenAsync(lease);
            await IgnoreAsync(() => loading);
            stop.Dispose();
            throw;
        }

        _stop = stop;
        _running = HoldAsync(lease, loading, stop);
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
        var renewing = RenewAsync(lease, stop.Token);
        try
        {
            await await Task.WhenAny(loading, renewing);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop.
        }
        catch (Exception e) when (e is not DeviceException)
        {
            // Whatever it was: whoever waits for the light's end waits for one kind of failure.
            throw new DeviceException(_source.Name, _source.Address.Text, $"emission ended: {e.Message}", e);
        }
        finally
        {
            await stop.CancelAsync();
            await DarkenAsync(lease);
            await IgnoreAsync(() => Task.WhenAll(loading, renewing));
        }
    }

    /// <summary>Lets go of the lease and stops the modulator, each whatever becomes of the other.</summary>
    private async Task DarkenAsync(IEmissionLease? lease)
    {
        // An instrument that no longer answers goes dark by itself when its lease lapses.
        if (lease is not null)
        {
            await IgnoreAsync(() => lease.DisposeAsync().AsTask().WaitAsync(TimeToDarken));
        }

        using var limit = new CancellationTokenSource(TimeToDarken);
        await IgnoreAsync(() => _modulator.StopAsync(limit.Token).AsTask());
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
