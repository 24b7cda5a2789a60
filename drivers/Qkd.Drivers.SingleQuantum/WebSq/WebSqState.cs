using Qkd.Devices;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>The settings as the instrument told them last, asked or not. Thread-safe.</summary>
internal sealed class WebSqState
{
    private readonly WebSqDetectors _device;
    private readonly int _channelCount;
    private readonly Lock _gate = new();
    private double[] _bias;
    private double[] _trigger = [];
    private TimeSpan _period;
    private bool _enabled;

    /// <summary>Takes what was told on opening.</summary>
    /// <exception cref="DeviceProtocolException">A label has a value that it cannot have.</exception>
    public WebSqState(WebSqDetectors device, WebSqStart start)
    {
        (_device, _channelCount) = (device, start.ChannelCount);
        Labels = [.. Known.Where(start.Labels.ContainsKey)];
        TellsEnabled = start.Labels.ContainsKey(WebSqLabel.DetectorEnable);
        PeriodLimits = start.Labels[WebSqLabel.MeasurementPeriod].Bounds;
        _bias = ToNumbers(start.Labels[WebSqLabel.BiasCurrent], _channelCount);
        foreach (var label in Labels)
        {
            Check(start.Labels[label]);
            Note(start.Labels[label]);
        }
    }

    /// <summary>The labels of settings that this instrument has.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Whether the instrument tells that it is on.</summary>
    public bool TellsEnabled { get; }

    /// <summary>Limits of the measurement period in milliseconds; null where none are stated.</summary>
    public SettingRange? PeriodLimits { get; }

    /// <summary>Whether the detectors are on.</summary>
    public bool Enabled
    {
        get
        {
            lock (_gate)
            {
                return _enabled;
            }
        }
    }

    /// <summary>Bias currents in microamperes.</summary>
    public double[] Bias
    {
        get
        {
            lock (_gate)
            {
                return _bias;
            }
        }
    }

    /// <summary>Trigger levels in millivolts; empty where there are none.</summary>
    public double[] Trigger
    {
        get
        {
            lock (_gate)
            {
                return _trigger;
            }
        }
    }

    /// <summary>Measurement period.</summary>
    public TimeSpan Period
    {
        get
        {
            lock (_gate)
            {
                return _period;
            }
        }
    }

    private static string[] Known { get; } =
        [WebSqLabel.MeasurementPeriod, WebSqLabel.BiasCurrent, WebSqLabel.TriggerLevel, WebSqLabel.DetectorEnable];

    /// <summary>Takes it that the detectors are on or off, where the instrument does not tell.</summary>
    public void Assume(bool enabled)
    {
        lock (_gate)
        {
            _enabled = enabled;
        }
    }

    /// <summary>Takes a message; one that cannot be read changes nothing here, whoever waits for it finds out.</summary>
    public void Note(WebSqMessage message)
    {
        lock (_gate)
        {
            switch (message.Label)
            {
                case WebSqLabel.BiasCurrent when message.TryGetNumbers(out var bias) && bias.Length == _channelCount:
                    _bias = bias;
                    break;
                case WebSqLabel.TriggerLevel when message.TryGetNumbers(out var trigger) && trigger.Length == _channelCount:
                    _trigger = trigger;
                    break;
                case WebSqLabel.MeasurementPeriod when message.TryGetNumbers(out var period) && period is [> 0 and < 1e9]:
                    _period = TimeSpan.FromMilliseconds(period[0]);
                    break;
                case WebSqLabel.DetectorEnable when message.TryGetFlag(out var enabled):
                    _enabled = enabled;
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>Throws where a label has a value that it cannot have.</summary>
    /// <exception cref="DeviceProtocolException">It has.</exception>
    public void Check(WebSqMessage message)
    {
        switch (message.Label)
        {
            case WebSqLabel.BiasCurrent or WebSqLabel.TriggerLevel:
                ToNumbers(message, _channelCount);
                break;
            case WebSqLabel.MeasurementPeriod when ToNumbers(message, 1) is not [> 0 and < 1e9]:
            case WebSqLabel.DetectorEnable when !message.TryGetFlag(out _):
                throw Unexpected(message);
            default:
                break;
        }
    }

    /// <summary>The numbers of a message.</summary>
    /// <exception cref="DeviceProtocolException">Not so many numbers.</exception>
    public double[] ToNumbers(WebSqMessage message, int count) =>
        message.TryGetNumbers(out var numbers) && numbers.Length == count ? numbers : throw Unexpected(message);

    private DeviceProtocolException Unexpected(WebSqMessage message) =>
        new(_device.Name, _device.Address.Text, message.Label, $"'{message.Text}'");
}
