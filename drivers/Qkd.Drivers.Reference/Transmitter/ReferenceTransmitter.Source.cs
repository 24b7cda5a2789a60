using Qkd.Devices;

namespace Qkd.Drivers.Reference.Transmitter;

public sealed partial class ReferenceTransmitter
{
    // LASER ON and LASER OFF are not to overtake each other.
    private readonly SemaphoreSlim _switching = new(1, 1);
    private volatile EmissionLease? _lease;

    // Set before LASER ON leaves, cleared when LASER OFF is answered.
    private volatile bool _mayBeLit;

    /// <inheritdoc/>
    public async ValueTask<SourceStatus> GetSourceStatusAsync(CancellationToken cancellationToken)
    {
        var status = await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        return new(status.Emitting, status.Interlock, status.TemperatureCelsius, status.Fault);
    }

    /// <inheritdoc/>
    /// <exception cref="DeviceRefusedException">A lease holds the light on already, or the instrument has a fault.</exception>
    /// <remarks>If the answer fails to come, or the caller does not wait for it, the light is switched off again.</remarks>
    public async ValueTask<IEmissionLease> StartEmissionAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await _switching.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_lease is not null)
            {
                throw new DeviceRefusedException(Name, Address.Text, "LASER ON", "another lease holds the light on");
            }

            var lease = new EmissionLease(this);
            (_lease, _mayBeLit) = (lease, true);
            try
            {
                await RequestAsync(MessageKind.LaserOn, "LASER ON", default, ReadLease, cancellationToken).ConfigureAwait(false);
                return lease;
            }
            catch
            {
                // Refused, or on without a holder: dark either way.
                _lease = null;
                await TellIfNotDarkAsync().ConfigureAwait(false);
                throw;
            }
        }
        finally
        {
            _switching.Release();
        }
    }

    private static bool ReadLease(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        _ = reader.Int();
        reader.End();
        return true;
    }

    private async ValueTask RenewAsync(EmissionLease lease, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        if (lease.IsOver)
        {
            throw await ToLapsedAsync(cancellationToken).ConfigureAwait(false);
        }

        try
        {
            await RequestAsync(MessageKind.Renew, "RENEW", default, ReadLease, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception refusal) when (refusal is DeviceRefusedException or InterlockException)
        {
            Forget(lease);
            throw refusal as InterlockException ?? await ToLapsedAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask EndAsync(EmissionLease lease)
    {
        await _switching.WaitAsync().ConfigureAwait(false);
        try
        {
            if (Forget(lease) && !IsDisposed && !IsBroken)
            {
                await TellIfNotDarkAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _switching.Release();
        }
    }

    /// <summary>The light is off and the lease with it; false if it had ended before. Nothing but a new lease lights it again.</summary>
    private bool Forget(EmissionLease lease)
    {
        var held = !lease.IsOver;
        lease.IsOver = true;
        Interlocked.CompareExchange(ref _lease, null, lease);
        return held;
    }

    private void LightWentOff(string reason)
    {
        if (_lease is { } lease)
        {
            Forget(lease);
        }

        ModulationEnded($"ended with the light: {reason}");
    }

    private async ValueTask TellIfNotDarkAsync()
    {
        try
        {
            await DarkenAsync().ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is DeviceException or ObjectDisposedException)
        {
            Publish(
                DeviceEventKind.Warning,
                $"the light may be on until its lease of {SourceCapabilities.LeaseDuration.TotalSeconds:0.###} s lapses: {problem.Message}");
        }
    }

    /// <summary>LASER OFF, where the light may be on and somebody could hear it; under the time limit of every request.</summary>
    private async ValueTask DarkenAsync()
    {
        if (_mayBeLit && !IsBroken)
        {
            await AskAsync(MessageKind.LaserOff, "LASER OFF", default, ReadNothing, CancellationToken.None).ConfigureAwait(false);
            _mayBeLit = false;
        }
    }

    /// <summary>A refusal for an interlock, with the interlocks that STATUS names; they may have closed again meanwhile.</summary>
    private async ValueTask<DeviceException> ToInterlockAsync(string what, ErrorCode code, string text, CancellationToken cancellationToken)
    {
        var status = await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        return status.Interlock == InterlockState.Closed ? Refused(what, code, text) : new InterlockException(Name, Address.Text, status.Interlock);
    }

    /// <summary>Why a lease is over. Where nothing is open any more, the lease at least has lapsed.</summary>
    private async ValueTask<InterlockException> ToLapsedAsync(CancellationToken cancellationToken)
    {
        var status = await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        return new(Name, Address.Text, status.Interlock == InterlockState.Closed ? InterlockState.LeaseLapsed : status.Interlock);
    }

    private sealed class EmissionLease(ReferenceTransmitter device) : IEmissionLease
    {
        private volatile bool _over;
        private int _disposed;

        public bool IsOver
        {
            get => _over;
            set => _over = value;
        }

        public ValueTask RenewAsync(CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            return device.RenewAsync(this, cancellationToken);
        }

        public ValueTask DisposeAsync() => Interlocked.Exchange(ref _disposed, 1) == 0 ? device.EndAsync(this) : ValueTask.CompletedTask;
    }
}
