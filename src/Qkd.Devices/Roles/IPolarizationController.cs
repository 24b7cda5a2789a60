namespace Qkd.Devices;

/// <summary>A slow polarization controller: paddles, wave plates, squeezers.</summary>
public interface IPolarizationController : IDevice
{
    /// <summary>The moving or driven parts, in optical order from input to output.</summary>
    IReadOnlyList<PolarizationActuator> Actuators { get; }

    /// <summary>Whether every actuator knows its position, so that homing is not needed.</summary>
    bool PositionsKnown { get; }

    /// <summary>Finds the reference position of every actuator. Slow.</summary>
    ValueTask HomeAsync(CancellationToken cancellationToken);

    /// <summary>Moves all actuators at once; completes when all have arrived.</summary>
    /// <param name="positions">One value per actuator, in its unit.</param>
    /// <param name="cancellationToken">Stops the movement.</param>
    /// <exception cref="SettingOutOfRangeException">A position is outside the actuator's limits; nothing has moved.</exception>
    ValueTask MoveAsync(ReadOnlyMemory<double> positions, CancellationToken cancellationToken);

    /// <summary>Reads the present positions, one per actuator, in its unit.</summary>
    ValueTask<IReadOnlyList<double>> GetPositionsAsync(CancellationToken cancellationToken);
}

/// <summary>One part of an <see cref="IPolarizationController"/>.</summary>
/// <param name="Name">Name on the instrument, e.g. <c>paddle 1</c>.</param>
/// <param name="Unit"><c>deg</c> for paddles and wave plates, <c>V</c> for squeezers.</param>
/// <param name="Minimum">Lower limit.</param>
/// <param name="Maximum">Upper limit.</param>
/// <param name="Resolution">Smallest step.</param>
/// <param name="NominalRetardanceWaves">Retardance of a rotating plate in waves, as its maker states; null for a squeezer.</param>
public sealed record PolarizationActuator(string Name, string Unit, double Minimum, double Maximum, double Resolution, double? NominalRetardanceWaves);
