using Qkd.Devices;
using Qkd.Drivers.Thorlabs.Apt;

namespace Qkd.Drivers.Thorlabs.Mpc320;

/// <summary>
/// Keeps the status updates coming (the instrument ends them when nobody acknowledges) and tells when they stay away. Whether a
/// given firmware sends any is not documented, so silence is remarkable only once some have come.
/// </summary>
internal sealed class Mpc320Watch(AptConnection connection, TimeProvider time, Action<DeviceEventKind, string> publish) : IAsyncDisposable
{
    /// <summary>How often updates are acknowledged.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>How long the instrument may be silent.</summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(3);

    private readonly CancellationTokenSource _closing = new();
    private Task _running = Task.CompletedTask;
    private long _heardAt;
    private volatile bool _updatesCome;
    private volatile bool _silent;

    /// <summary>Whether updates were asked for.</summary>
    public bool HasStarted { get; private set; }

    /// <summary>Begins; once.</summary>
    public void Start()
    {
        HasStarted = true;
        _running = Task.Run(RunAsync);
    }

    /// <summary>Something has come from the instrument.</summary>
    public void Heard()
    {
        Volatile.Write(ref _heardAt, time.GetTimestamp());
        if (_silent)
        {
            _silent = false;
            publish(DeviceEventKind.Healthy, "status updates have come back");
        }
    }

    /// <summary>It had not been asked for.</summary>
    public void HeardUnasked() => _updatesCome = true;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _closing.Dispose();
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_closing.Token).ConfigureAwait(false))
            {
                await connection.SendAsync(AptFrame.Short(AptId.AcknowledgeUpdates), _closing.Token).ConfigureAwait(false);
                if (_updatesCome && !_silent && time.GetElapsedTime(Volatile.Read(ref _heardAt)) > LongestSilence)
                {
                    _silent = true;
                    publish(DeviceEventKind.Warning, $"silent for more than {LongestSilence.TotalSeconds:0} s");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed of.
        }
        catch (DeviceException)
        {
            // The connection is broken; its listener tells.
        }
    }
}
