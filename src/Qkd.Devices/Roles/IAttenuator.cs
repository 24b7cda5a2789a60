namespace Qkd.Devices;

/// <summary>A variable optical attenuator.</summary>
public interface IAttenuator : IDevice
{
    /// <summary>Smallest attenuation it can be set to, in dB.</summary>
    double MinimumDecibels { get; }

    /// <summary>Largest attenuation it can be set to, in dB.</summary>
    double MaximumDecibels { get; }

    /// <summary>Sets the attenuation and returns, once the instrument has arrived, the value it reports, in dB.</summary>
    /// <exception cref="SettingOutOfRangeException">Outside the limits; nothing has moved.</exception>
    ValueTask<double> SetAttenuationAsync(double decibels, CancellationToken cancellationToken);

    /// <summary>Reads the attenuation in dB.</summary>
    ValueTask<double> GetAttenuationAsync(CancellationToken cancellationToken);
}
